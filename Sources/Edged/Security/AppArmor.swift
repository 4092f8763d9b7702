import KubernetesAPI
import Runtime

/// The AppArmor profiles that pods ask for.
enum AppArmor {
  static let annotationPrefix = "container.apparmor.security.beta.kubernetes.io/"

  /// Of one container; nil leaves the choice to the engine. Its own field counts first, then the pod's annotation, then the
  /// pod's field.
  static func profile(_ pod: Pod, _ container: Container) throws(ContainerConfigError) -> CRISecurityProfile? {
    if let own = container.securityContext?.appArmorProfile { return try profile(own) }
    if let annotation = pod.metadata.annotations?[annotationPrefix + container.name], !annotation.isEmpty {
      return try profile(annotation: annotation)
    }
    return try pod.spec.securityContext?.appArmorProfile.map { (field) throws(ContainerConfigError) in try profile(field) }
  }

  /// Refuses a pod that needs what the host doesn't have: better no container than one without its confinement.
  static func admit(_ pod: Pod, hostHasAppArmor: Bool) -> AdmissionRejection? {
    guard !hostHasAppArmor, isRequired(pod) else { return nil }
    return AdmissionRejection(reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host")
  }

  private static func isRequired(_ pod: Pod) -> Bool {
    let fields = [pod.spec.securityContext?.appArmorProfile] + pod.containersOfAllKinds.map { $0.securityContext?.appArmorProfile }
    if fields.contains(where: { $0.map { $0.type != "Unconfined" } ?? false }) { return true }
    return (pod.metadata.annotations ?? [:]).contains {
      $0.key.hasPrefix(annotationPrefix) && !$0.value.isEmpty && $0.value != "unconfined"
    }
  }

  private static func profile(_ field: AppArmorProfile) throws(ContainerConfigError) -> CRISecurityProfile {
    var profile = CRISecurityProfile()
    switch field.type {
    case "RuntimeDefault": profile.profileType = .runtimeDefault
    case "Localhost":
      guard let name = field.localhostProfile, name.contains(where: { !$0.isWhitespace }) else {
        throw ContainerConfigError.appArmorProfileNotSet
      }
      profile.profileType = .localhost
      profile.localhostRef = name
    default: profile.profileType = .unconfined
    }
    return profile
  }

  private static func profile(annotation: String) throws(ContainerConfigError) -> CRISecurityProfile {
    var profile = CRISecurityProfile()
    switch annotation {
    case "runtime/default": profile.profileType = .runtimeDefault
    case "unconfined": profile.profileType = .unconfined
    default:
      guard annotation.hasPrefix("localhost/"), annotation.count > "localhost/".count else {
        throw ContainerConfigError.appArmorProfileInvalid(annotation)
      }
      profile.profileType = .localhost
      profile.localhostRef = String(annotation.dropFirst("localhost/".count))
    }
    return profile
  }
}
