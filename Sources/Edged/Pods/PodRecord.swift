import KubernetesAPI
import Runtime

/// What the engine says of one sandbox.
struct SandboxRecord: Sendable, Hashable {
  var id: String
  var attempt: UInt32
  var isReady: Bool
  var createdAt: Timestamp
  /// Empty in the host's network.
  var ips: [String]
  var usesHostNetwork: Bool

  init(_ status: CRIPodSandboxStatus) {
    id = status.id
    attempt = status.metadata.attempt
    isReady = status.state == .sandboxReady
    createdAt = Timestamp(nanoseconds: status.createdAt)
    ips = ([status.network.ip] + status.network.additionalIps.map(\.ip)).filter { !$0.isEmpty }
    usesHostNetwork = status.linux.namespaces.options.network == .node
  }
}

/// What the engine says of one pod: all its sandboxes and containers, newest first.
struct PodRecord: Sendable, Hashable {
  var uid: String
  var name: String
  var namespace: String
  var sandboxes: [SandboxRecord] = []
  var containers: [ContainerRecord] = []

  init(uid: String, name: String, namespace: String) {
    self.uid = uid
    self.name = name
    self.namespace = namespace
  }

  var isEmpty: Bool { sandboxes.isEmpty && containers.isEmpty }
  var runningContainers: [ContainerRecord] { containers.filter { $0.state == .running } }
  var readySandboxes: [SandboxRecord] { sandboxes.filter(\.isReady) }

  /// Whether anything of it runs.
  var isAlive: Bool { !runningContainers.isEmpty || !readySandboxes.isEmpty }

  /// The newest container of that name that ended.
  func newestEnded(_ name: String) -> ContainerRecord? { containers.first { $0.name == name && $0.state == .exited } }

  /// The newest container of that name.
  func newest(_ name: String) -> ContainerRecord? { containers.first { $0.name == name } }

  /// The newest container of that name that ended, other than the newest one.
  func previous(_ name: String) -> ContainerRecord? {
    containers.lazy.filter { $0.name == name }.dropFirst().first { $0.state == .exited }
  }

  /// The addresses of the newest sandbox that is ready.
  var ips: [String] { readySandboxes.first?.ips ?? [] }

  mutating func put(_ container: ContainerRecord) {
    containers.removeAll { $0.id == container.id }
    let index = containers.firstIndex { $0.createdAt < container.createdAt } ?? containers.endIndex
    containers.insert(container, at: index)
  }

  mutating func put(_ sandbox: SandboxRecord) {
    sandboxes.removeAll { $0.id == sandbox.id }
    let index = sandboxes.firstIndex { $0.createdAt < sandbox.createdAt } ?? sandboxes.endIndex
    sandboxes.insert(sandbox, at: index)
  }
}
