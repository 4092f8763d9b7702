import KubernetesAPI
import Runtime

/// Whom an image's processes run as.
enum ImageUser: Sendable, Hashable {
  case uid(Int64)
  case name(String)

  /// An image that doesn't say runs as root.
  init(_ image: CRIImage?) {
    if let image, image.hasUid {
      self = .uid(image.uid.value)
    } else if let image, !image.username.isEmpty {
      self = .name(image.username)
    } else {
      self = .uid(0)
    }
  }

  /// Refuses a container that must not run as root and might.
  func verifyNonRoot(_ pod: Pod, _ container: Container) throws(ContainerConfigError) {
    let own = container.securityContext
    let podWide = pod.spec.securityContext
    guard own?.runAsNonRoot ?? podWide?.runAsNonRoot == true else { return }
    if let uid = own?.runAsUser ?? podWide?.runAsUser {
      if uid == 0 { throw ContainerConfigError.runsAsRoot(pod: pod.identity, container: container.name) }
      return
    }
    switch self {
    case .uid(0): throw ContainerConfigError.imageRunsAsRoot(pod: pod.identity, container: container.name)
    case .name(let name):
      throw ContainerConfigError.imageUserNotNumeric(user: name, pod: pod.identity, container: container.name)
    case .uid: return
    }
  }
}
