/// Why a container can't be described to the engine. The text becomes the container's waiting message.
enum ContainerConfigError: Error, Sendable, Hashable, CustomStringConvertible {
  case objectNotFound(PodObjects.Kind, name: String)
  /// It may exist, but couldn't be fetched.
  case objectUnavailable(PodObjects.Kind, name: String, reason: String)
  case keyNotFound(PodObjects.Kind, key: String, namespace: String, name: String)
  /// A field or a resource that containers can't read.
  case downwardAPI(String)
  case containerNotFound(String)
  /// - Parameter pod: `name_namespace(uid)`
  case runsAsRoot(pod: String, container: String)
  case imageRunsAsRoot(pod: String, container: String)
  case imageUserNotNumeric(user: String, pod: String, container: String)
  case seccompProfileNotSet
  case seccompProfileOutside(String)
  case appArmorProfileNotSet
  case appArmorProfileInvalid(String)

  var description: String {
    switch self {
    case .objectNotFound(let kind, let name): "\(kind.type) \"\(name)\" not found"
    case .objectUnavailable(let kind, let name, let reason): "couldn't fetch \(kind.type) \"\(name)\": \(reason)"
    case .keyNotFound(let kind, let key, let namespace, let name):
      "couldn't find key \(key) in \(kind.rawValue) \(namespace)/\(name)"
    case .downwardAPI(let message): message
    case .containerNotFound(let name): "container \(name) not found"
    case .runsAsRoot(let pod, let container):
      "container's runAsUser breaks non-root policy (pod: \"\(pod)\", container: \(container))"
    case .imageRunsAsRoot(let pod, let container):
      "container has runAsNonRoot and image will run as root (pod: \"\(pod)\", container: \(container))"
    case .imageUserNotNumeric(let user, let pod, let container):
      "container has runAsNonRoot and image has non-numeric user (\(user)), cannot verify user is non-root "
        + "(pod: \"\(pod)\", container: \(container))"
    case .seccompProfileNotSet: "localhostProfile must be set if seccompProfile type is Localhost."
    case .seccompProfileOutside(let profile):
      "localhostProfile \"\(profile)\" of the seccompProfile must be a descending relative path: it may neither start with / nor contain .."
    case .appArmorProfileNotSet: "localhostProfile must be set if appArmorProfile type is Localhost."
    case .appArmorProfileInvalid(let profile): "invalid AppArmor profile name: \"\(profile)\""
    }
  }
}
