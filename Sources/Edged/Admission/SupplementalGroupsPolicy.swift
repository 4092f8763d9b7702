import KubernetesAPI

enum SupplementalGroupsPolicy {
  /// Refuses a pod that wants its groups to be exactly those it names, where the engine can't do that.
  static func admit(_ pod: Pod, engineSupportsPolicy: Bool) -> AdmissionRejection? {
    guard pod.spec.securityContext?.supplementalGroupsPolicy == "Strict", !engineSupportsPolicy else { return nil }
    return AdmissionRejection(
      reason: "SupplementalGroupsPolicyNotSupported", message: "SupplementalGroupsPolicy=Strict is not supported in this node")
  }
}
