import GRPC
import Testing

@testable import Runtime

@Suite("containerd's events and CRI's replies")
struct CRIProtocolTests {
  @Test(arguments: [
    (GRPCError.Code.notFound, RuntimeError.Code.notFound), (.unimplemented, .unsupported), (.deadlineExceeded, .deadlineExceeded),
    (.unavailable, .unavailable), (.aborted, .failedPrecondition), (.cancelled, .unknown), (.dataLoss, .internalError),
  ])
  func codesAreMapped(code: GRPCError.Code, expected: RuntimeError.Code) {
    #expect(GRPCError(code, "").runtimeCode == expected)
  }

  private func envelope(_ topic: String, bytes: [UInt8]) -> ContainerdEnvelope {
    var envelope = ContainerdEnvelope()
    envelope.namespace = "k8s.io"
    envelope.topic = topic
    envelope.event.value = .init(bytes)
    return envelope
  }

  private func exit(id: String, status: UInt32) throws -> ContainerdEnvelope {
    var exit = ContainerdTaskExit()
    exit.containerID = "c1"
    exit.id = id
    exit.exitStatus = status
    return try envelope("/tasks/exit", bytes: exit.serializedBytes())
  }

  @Test func exitsOfTheFirstProcessCount() throws {
    #expect(try ContainerdEvent.decode(exit(id: "c1", status: 137)) == .exited(containerID: "c1", exitCode: 137))
    #expect(try ContainerdEvent.decode(exit(id: "exec-1", status: 0)) == nil)
  }

  @Test func otherTopics() throws {
    // Field 1 is the id in all three.
    let id: [UInt8] = [0x0a, 2, 0x63, 0x31]
    #expect(try ContainerdEvent.decode(envelope("/tasks/start", bytes: id)) == .started(containerID: "c1"))
    #expect(try ContainerdEvent.decode(envelope("/tasks/oom", bytes: id)) == .outOfMemory(containerID: "c1"))
    #expect(try ContainerdEvent.decode(envelope("/containers/delete", bytes: id)) == .removed(containerID: "c1"))
    #expect(try ContainerdEvent.decode(envelope("/images/create", bytes: id)) == nil)
  }

  @Test(arguments: [
    (
      #"{"containerd":{"defaultRuntimeName":"runc","runtimes":{"runc":{"runtimeType":"io.containerd.runc.v2","options":{"SystemdCgroup":true}}}}}"#,
      CRICgroupDriver.systemd as CRICgroupDriver?
    ),
    (
      #"{"containerd":{"defaultRuntimeName":"runc","runtimes":{"runc":{"runtimeType":"io.containerd.runc.v2","options":{"SystemdCgroup":false,"Root":"/x"}}}}}"#,
      .cgroupfs
    ),
    (#"{"containerd":{"runtimes":{"runc":{"runtimeType":"io.containerd.runc.v2"}}}}"#, .cgroupfs),
    (#"{"containerd":{"defaultRuntimeName":"kata","runtimes":{"kata":{"runtimeType":"io.containerd.kata.v2"}}}}"#, nil),
    ("{}", nil), ("no JSON", nil),
  ])
  func cgroupDriverOfOldEngines(json: String, driver: CRICgroupDriver?) {
    #expect(ContainerdConfigInfo.cgroupDriver(json) == driver)
  }

  @Test func incompleteRepliesAreRefused() throws {
    var status = CRIContainerStatus()
    status.id = "c1"
    status.metadata.name = "main"
    status.createdAt = 1
    status.image.image = "busybox"
    let error = #expect(throws: RuntimeError.self) { try status.validated() }
    #expect(error?.message.contains("image_ref") == true)
    status.imageRef = "sha256:1"
    #expect(try status.validated() == status)
    #expect(throws: RuntimeError.self) { try CRIPodSandboxStatus().validated() }
    #expect(throws: RuntimeError.self) { try CRIImage().validated() }
    #expect(throws: RuntimeError.self) { try "".validated("PullImage", "image_ref") }
  }

  @Test func nestedStatusPrefixIsStripped() {
    #expect(CRIRuntime.stripped("rpc error: code = Unknown desc = no such host") == "no such host")
    #expect(CRIRuntime.stripped("failed: rpc error") == "failed: rpc error")
  }
}
