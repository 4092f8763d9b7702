import KubernetesAPI
import Runtime
import Testing

@testable import Edged

/// Pods and records for tests of the rules; times are seconds after an arbitrary start.
enum Fixture {
  static let start = Timestamp(seconds: 1_000_000)
  /// The instant at `start`.
  static let instant = ContinuousClock.now

  static func pod(
    _ containers: [String] = ["web"], initial: [Container] = [], policy: RestartPolicy? = nil, hostNetwork: Bool? = nil
  ) -> Pod {
    var spec = PodSpec(containers: containers.map { Container(name: $0, image: "busybox") })
    spec.initContainers = initial.isEmpty ? nil : initial
    spec.restartPolicy = policy
    spec.hostNetwork = hostNetwork
    return Pod(metadata: ObjectMeta(name: "shop", namespace: "default", uid: "u1"), spec: spec)
  }

  static func sidecar(_ name: String) -> Container {
    var container = Container(name: name, image: "busybox")
    container.restartPolicy = .always
    return container
  }

  static func sandbox(attempt: UInt32 = 0, ready: Bool = true, ip: String = "10.0.0.2", hostNetwork: Bool = false) -> SandboxRecord {
    var status = CRIPodSandboxStatus()
    status.id = "s\(attempt)"
    status.metadata.attempt = attempt
    status.state = ready ? .sandboxReady : .sandboxNotready
    status.createdAt = (start + .seconds(Int64(attempt))).nanoseconds
    status.network.ip = ip
    status.linux.namespaces.options.network = hostNetwork ? .node : .pod
    return SandboxRecord(status)
  }

  /// A container as the engine tells of it; the `number`th of its name.
  static func container(
    _ name: String, _ state: CRIContainerState, exit: Int32 = 0, number: Int = 0, finished: Int64 = 0, hash: String? = nil,
    reason: String = ""
  ) throws -> ContainerRecord {
    var status = CRIContainerStatus()
    status.id = "\(name)-\(number)"
    status.state = state
    status.createdAt = (start + .seconds(Int64(10 + number))).nanoseconds
    status.startedAt = status.createdAt
    status.finishedAt = state == .containerExited ? (start + .seconds(finished)).nanoseconds : 0
    status.exitCode = exit
    status.reason = reason
    status.labels = [RuntimeLabel.containerName: name, RuntimeLabel.podUID: "u1"]
    status.annotations = [
      RuntimeAnnotation.restartCount: String(number),
      RuntimeAnnotation.containerHash: hash ?? ContainerHash.hash(of: Container(name: name, image: "busybox")),
    ]
    return try #require(ContainerRecord(status, sandboxID: "s0"))
  }

  static func record(_ containers: [ContainerRecord], sandboxes: [SandboxRecord] = [sandbox()]) -> PodRecord {
    var record = PodRecord(uid: "u1", name: "shop", namespace: "default")
    for sandbox in sandboxes { record.put(sandbox) }
    for container in containers { record.put(container) }
    return record
  }

  /// So many seconds after `start`, with the wall clock set by so many.
  static func moment(_ seconds: Int64, clockSetBy offset: Int64 = 0) -> Moment {
    Moment(wall: start + .seconds(seconds + offset), instant: instant + .seconds(seconds))
  }

  static func plan(
    _ pod: Pod, _ record: PodRecord, probes: [String: ProbeVerdict] = [:], backoff: CrashLoopBackoff = CrashLoopBackoff(),
    at seconds: Int64 = 100
  ) -> PodPlan {
    PodPlanner.plan(PodFacts(pod: pod, record: record, probes: probes, backoff: backoff, now: instant + .seconds(seconds)))
  }
}
