import KubernetesAPI
import Runtime

/// Makes the privileges of sandboxes and containers. A container's own settings come before its pod's.
struct SecurityContextBuilder: Sendable, Hashable {
  /// The directory of Localhost seccomp profiles.
  var seccompRoot: String
  /// Containers without a seccomp profile get the engine's, and not none.
  var seccompDefault = false
  /// `NodeMachine.thermalThrottlePaths()`
  var thermalThrottlePaths: [String] = []

  /// - Parameter extraGroups: Groups that own the pod's volumes.
  func sandbox(_ pod: Pod, extraGroups: [Int64] = []) -> CRILinuxSandboxSecurityContext {
    var context = CRILinuxSandboxSecurityContext()
    context.privileged = pod.containersOfAllKinds.contains { $0.securityContext?.privileged == true }
    context.seccomp.profileType = .runtimeDefault
    context.namespaceOptions = NamespaceOptions.of(pod)
    let podWide = pod.spec.securityContext
    if let user = podWide?.runAsUser { context.runAsUser.value = user }
    if let group = podWide?.runAsGroup { context.runAsGroup.value = group }
    context.supplementalGroups = groups(pod, extraGroups)
    context.supplementalGroupsPolicy = policy(pod)
    if let options = podWide?.seLinuxOptions { context.selinuxOptions = selinux(options) }
    return context
  }

  /// - Parameters:
  ///   - user: Whom the image runs as.
  ///   - targetID: See `NamespaceOptions`.
  func container(
    _ pod: Pod, _ container: Container, user: ImageUser, targetID: String? = nil, extraGroups: [Int64] = []
  ) throws(ContainerConfigError) -> CRILinuxContainerSecurityContext {
    try user.verifyNonRoot(pod, container)
    let own = container.securityContext
    let podWide = pod.spec.securityContext
    var context = CRILinuxContainerSecurityContext()
    if let capabilities = own?.capabilities {
      context.capabilities.addCapabilities = capabilities.add ?? []
      context.capabilities.dropCapabilities = capabilities.drop ?? []
    }
    context.privileged = own?.privileged ?? false
    context.readonlyRootfs = own?.readOnlyRootFilesystem ?? false
    context.noNewPrivs = own?.allowPrivilegeEscalation == false
    context.namespaceOptions = NamespaceOptions.of(pod, targetID: targetID)
    if let options = own?.seLinuxOptions ?? podWide?.seLinuxOptions { context.selinuxOptions = selinux(options) }

    if let uid = own?.runAsUser ?? podWide?.runAsUser {
      context.runAsUser.value = uid
    } else {
      switch user {
      case .uid(let uid): context.runAsUser.value = uid
      case .name(let name): context.runAsUsername = name
      }
    }
    if let group = own?.runAsGroup ?? podWide?.runAsGroup { context.runAsGroup.value = group }
    context.supplementalGroups = groups(pod, extraGroups)
    context.supplementalGroupsPolicy = policy(pod)

    context.maskedPaths = ProcMount.maskedPaths(own?.procMount, thermalThrottle: thermalThrottlePaths)
    context.readonlyPaths = ProcMount.readonlyPaths(own?.procMount)
    context.seccomp = try seccomp(own?.seccompProfile ?? podWide?.seccompProfile)
    if let profile = try AppArmor.profile(pod, container) { context.apparmor = profile }
    return context
  }

  private func seccomp(_ wished: SeccompProfile?) throws(ContainerConfigError) -> CRISecurityProfile {
    var profile = CRISecurityProfile()
    switch wished?.type {
    case nil: profile.profileType = seccompDefault ? .runtimeDefault : .unconfined
    case "RuntimeDefault": profile.profileType = .runtimeDefault
    case "Localhost":
      guard let name = wished?.localhostProfile, !name.isEmpty else { throw ContainerConfigError.seccompProfileNotSet }
      let parts = name.split(separator: "/")
      guard !name.hasPrefix("/"), !parts.contains("..") else { throw ContainerConfigError.seccompProfileOutside(name) }
      profile.profileType = .localhost
      profile.localhostRef = ([seccompRoot] + parts.filter { $0 != "." }.map(String.init)).joined(separator: "/")
    default: profile.profileType = .unconfined
    }
    return profile
  }

  private func groups(_ pod: Pod, _ extra: [Int64]) -> [Int64] {
    let podWide = pod.spec.securityContext
    return [podWide?.fsGroup].compactMap(\.self) + (podWide?.supplementalGroups ?? []) + extra
  }

  private func policy(_ pod: Pod) -> CRISupplementalGroupsPolicy {
    pod.spec.securityContext?.supplementalGroupsPolicy == "Strict" ? .strict : .merge
  }

  private func selinux(_ options: SELinuxOptions) -> CRISELinuxOption {
    var result = CRISELinuxOption()
    result.user = options.user ?? ""
    result.role = options.role ?? ""
    result.type = options.type ?? ""
    result.level = options.level ?? ""
    return result
  }
}

extension Pod {
  /// Regular, init and ephemeral containers.
  var containersOfAllKinds: [Container] {
    spec.containers + (spec.initContainers ?? []) + (spec.ephemeralContainers ?? []).map(\.container)
  }
}
