/// The name of a sandbox's or container's Docker container: `k8s_<container>_<pod>_<namespace>_<pod uid>_<attempt>`, with `POD` in
/// the container's place for a sandbox. Kubernetes names hold no underscore, so a name splits again into its parts.
struct DockerName: Hashable, Sendable {
  static let sandboxContainer = "POD"
  private static let prefix = "k8s"

  var container: String
  var pod: String
  var namespace: String
  var uid: String
  var attempt: UInt32

  init(sandbox: CRIPodSandboxMetadata) {
    container = Self.sandboxContainer
    pod = sandbox.name
    namespace = sandbox.namespace
    uid = sandbox.uid
    attempt = sandbox.attempt
  }

  init(container: CRIContainerMetadata, sandbox: CRIPodSandboxMetadata) {
    self.container = container.name
    pod = sandbox.name
    namespace = sandbox.namespace
    uid = sandbox.uid
    attempt = container.attempt
  }

  /// - Parameter text: With or without Docker's leading slash; a suffix that made the name unique is dropped.
  init?(parsing text: String) {
    let parts = (text.hasPrefix("/") ? text.dropFirst() : text[...]).split(separator: "_", omittingEmptySubsequences: false)
    guard parts.count == 6 || parts.count == 7, parts[0] == Self.prefix, let attempt = UInt32(parts[5]) else { return nil }
    container = String(parts[1])
    pod = String(parts[2])
    namespace = String(parts[3])
    uid = String(parts[4])
    self.attempt = attempt
  }

  var text: String { "\(Self.prefix)_\(container)_\(pod)_\(namespace)_\(uid)_\(attempt)" }

  /// A name nobody has, for when `text` is taken and can't be freed.
  var unique: String {
    let suffix = String(UInt32.random(in: .min ... .max), radix: 16)
    return "\(text)_\(String(repeating: "0", count: 8 - suffix.count))\(suffix)"
  }

  var isSandbox: Bool { container == Self.sandboxContainer }
  var sandboxMetadata: CRIPodSandboxMetadata {
    .with {
      $0.name = pod
      $0.namespace = namespace
      $0.uid = uid
      $0.attempt = attempt
    }
  }
  var containerMetadata: CRIContainerMetadata {
    .with {
      $0.name = container
      $0.attempt = attempt
    }
  }
}
