import Foundation
import Testing

@testable import Runtime

struct DockerStatusTests {
  private static let zero = "0001-01-01T00:00:00Z"
  private static let start = "2024-02-29T12:30:45Z"
  private static let end = "2024-02-29T12:30:46Z"

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var status = "exited"
    var running = false
    var oomKilled = false
    var exitCode: Int32 = 0
    var error = ""
    var startedAt = DockerStatusTests.start
    var finishedAt = DockerStatusTests.end
    var state: CRIContainerState
    var reason = ""
    var times: [Int64] = [0, 0]
    var testDescription: String { name }
  }

  private static let cases = [
    Case(name: "created", status: "created", startedAt: zero, finishedAt: zero, state: .containerCreated),
    Case(name: "running", status: "running", running: true, finishedAt: zero, state: .containerRunning, times: [45, 0]),
    Case(name: "paused", status: "paused", running: true, finishedAt: zero, state: .containerRunning, times: [45, 0]),
    Case(name: "completed", state: .containerExited, reason: "Completed", times: [45, 46]),
    Case(name: "failed", exitCode: 3, state: .containerExited, reason: "Error", times: [45, 46]),
    Case(name: "out of memory", oomKilled: true, exitCode: 137, state: .containerExited, reason: "OOMKilled", times: [45, 46]),
    Case(name: "dead", status: "dead", exitCode: 1, state: .containerExited, reason: "Error", times: [45, 46]),
    Case(
      name: "no such command", status: "created", exitCode: 127, error: "exec: \"/x\": stat /x: no such file", startedAt: zero,
      finishedAt: zero, state: .containerExited, reason: "ContainerCannotRun", times: [44, 44]),
  ]

  @Test(arguments: cases)
  func mapsStates(_ test: Case) throws {
    let inspected = """
      {"Id":"c1","Name":"/k8s_app_web_default_u1_4","Created":"2024-02-29T12:30:44Z","Image":"sha256:1",
       "State":{"Status":"\(test.status)","Running":\(test.running),"OOMKilled":\(test.oomKilled),"ExitCode":\(test.exitCode),
       "Error":\(String(decoding: try JSONEncoder().encode(test.error), as: UTF8.self)),
       "StartedAt":"\(test.startedAt)","FinishedAt":"\(test.finishedAt)"},
       "Config":{"Image":"busybox:1.36","Tty":false,"Labels":{"a":"b","annotation.c":"d","io.kubernetes.docker.type":"container",
       "io.kubernetes.container.logpath":"/l/0.log","io.kubernetes.sandbox.id":"s1"}},
       "HostConfig":{"NetworkMode":"container:s1","CpuShares":512,"Memory":1048576},
       "Mounts":[{"Type":"bind","Source":"/h","Destination":"/c","RW":false,"Propagation":"rslave"}]}
      """
    let container = try JSONDecoder().decode(DockerContainer.self, from: Data(inspected.utf8))
    let status = DockerStatus.container(container, image: nil)
    let base: Int64 = 1_709_209_800
    #expect(status.state == test.state)
    #expect(status.reason == test.reason)
    #expect(status.exitCode == test.exitCode)
    #expect(status.message == test.error)
    #expect(status.createdAt == (base + 44) * 1_000_000_000)
    #expect(status.startedAt == (test.times[0] == 0 ? 0 : (base + test.times[0]) * 1_000_000_000))
    #expect(status.finishedAt == (test.times[1] == 0 ? 0 : (base + test.times[1]) * 1_000_000_000))
    #expect(status.metadata.name == "app")
    #expect(status.metadata.attempt == 4)
    #expect(status.image.image == "docker.io/library/busybox:1.36")
    #expect(status.imageRef == "sha256:1")
    #expect(status.labels == ["a": "b"])
    #expect(status.annotations == ["c": "d"])
    #expect(status.logPath == "/l/0.log")
    #expect(status.resources.linux.cpuShares == 512)
    #expect(status.resources.linux.memoryLimitInBytes == 1_048_576)
    #expect(
      status.mounts == [
        .with {
          $0.hostPath = "/h"
          $0.containerPath = "/c"
          $0.readonly = true
          $0.propagation = .propagationHostToContainer
        }
      ])
  }

  @Test func namesTheImageByItsDigest() throws {
    let id = "sha256:" + String(repeating: "ab", count: 32)
    let inspected = """
      {"Id":"c1","Name":"/x","Created":"","Image":"\(id)","State":{"Status":"running","Running":true,"ExitCode":0,"StartedAt":"",
       "FinishedAt":""},"Config":{"Image":"\(id)","Tty":false,"Labels":{"io.kubernetes.container.name":"app"}},"HostConfig":{}}
      """
    let json = #"{"Id":"\#(id)","RepoTags":["busybox:1.36"],"RepoDigests":["busybox@sha256:12"],"Size":5}"#
    let status = DockerStatus.container(
      try JSONDecoder().decode(DockerContainer.self, from: Data(inspected.utf8)),
      image: try JSONDecoder().decode(DockerImage.self, from: Data(json.utf8)))
    #expect(status.image.image == "docker.io/library/busybox:1.36")
    #expect(status.imageRef == "docker.io/library/busybox@sha256:12")
    #expect(status.imageID == id)
    #expect(status.metadata.name == "app")
  }

  @Test(arguments: [("default", CRINamespaceMode.pod), ("host", .node)])
  func describesSandboxes(network: String, mode: CRINamespaceMode) throws {
    let inspected = """
      {"Id":"s1","Name":"/k8s_POD_web_default_u1_2","Created":"2024-02-29T12:30:44Z","Image":"sha256:1",
       "State":{"Status":"running","Running":true,"ExitCode":0,"StartedAt":"","FinishedAt":""},
       "Config":{"Image":"pause","Tty":false,"Labels":{"a":"b","io.kubernetes.docker.type":"podsandbox"}},
       "HostConfig":{"NetworkMode":"\(network)","IpcMode":"shareable","PidMode":""},
       "NetworkSettings":{"Networks":{"bridge":{"IPAddress":"172.17.0.2","GlobalIPv6Address":"fd00::2"}}}}
      """
    let status = DockerStatus.sandbox(try JSONDecoder().decode(DockerContainer.self, from: Data(inspected.utf8)))
    #expect(status.state == .sandboxReady)
    #expect(status.metadata.uid == "u1")
    #expect(status.metadata.attempt == 2)
    #expect(status.network.ip == "172.17.0.2")
    #expect(status.network.additionalIps.map(\.ip) == ["fd00::2"])
    #expect(status.linux.namespaces.options.network == mode)
    #expect(status.linux.namespaces.options.ipc == .pod)
    #expect(status.labels == ["a": "b"])
  }
}
