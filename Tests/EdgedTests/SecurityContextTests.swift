import KubernetesAPI
import Runtime
import Testing

@testable import Edged

struct SecurityContextTests {
  private func context(
    pod podContext: String = "{}", container: String = "{}", spec: String = "", user: ImageUser = .uid(0), target: String? = nil,
    builder: SecurityContextBuilder = SecurityContextBuilder(seccompRoot: "/var/lib/kubelet/seccomp"), extraGroups: [Int64] = [],
    annotations: [String: String]? = nil
  ) throws -> CRILinuxContainerSecurityContext {
    let pod = try Pod.yaml(
      "securityContext: \(podContext)\ncontainers: [{name: main, securityContext: \(container)}]\n\(spec)", annotations: annotations)
    return try builder.container(pod, pod.spec.containers[0], user: user, targetID: target, extraGroups: extraGroups)
  }

  @Test func containersOverridePods() throws {
    let both = try context(
      pod: "{runAsUser: 1, runAsGroup: 2, seccompProfile: {type: Unconfined}, seLinuxOptions: {level: pod}}",
      container: "{runAsUser: 11, runAsGroup: 12, seccompProfile: {type: RuntimeDefault}, seLinuxOptions: {level: own}}")
    #expect(both.runAsUser.value == 11 && both.runAsGroup.value == 12)
    #expect(both.seccomp.profileType == .runtimeDefault && both.selinuxOptions.level == "own")
    let podOnly = try context(pod: "{runAsUser: 1, runAsGroup: 2, seccompProfile: {type: RuntimeDefault}, seLinuxOptions: {level: pod}}")
    #expect(podOnly.runAsUser.value == 1 && podOnly.runAsGroup.value == 2)
    #expect(podOnly.seccomp.profileType == .runtimeDefault && podOnly.selinuxOptions.level == "pod")
  }

  @Test func theImagesUserIsTheDefault() throws {
    #expect(try context(user: .uid(1000)).runAsUser.value == 1000)
    let named = try context(user: .name("app"))
    #expect(named.runAsUsername == "app" && !named.hasRunAsUser)
    let own = try context(container: "{runAsUser: 0}", user: .name("app"))
    #expect(own.hasRunAsUser && own.runAsUser.value == 0 && own.runAsUsername == "")
    #expect(try !context().hasRunAsGroup)
  }

  @Test func readsAnImagesUser() {
    var image = CRIImage()
    #expect(ImageUser(image) == .uid(0))
    #expect(ImageUser(nil) == .uid(0))
    image.username = "app"
    #expect(ImageUser(image) == .name("app"))
    image.uid.value = 7
    #expect(ImageUser(image) == .uid(7))
  }

  @Test(arguments: [
    (
      "{runAsNonRoot: true}", "{}", ImageUser.uid(0),
      "container has runAsNonRoot and image will run as root (pod: \"web_shop(u-1)\", container: main)"
    ),
    (
      "{runAsNonRoot: true}", "{runAsUser: 0}", .uid(5),
      "container's runAsUser breaks non-root policy (pod: \"web_shop(u-1)\", container: main)"
    ),
    (
      "{runAsNonRoot: true, runAsUser: 0}", "{}", .uid(5),
      "container's runAsUser breaks non-root policy (pod: \"web_shop(u-1)\", container: main)"
    ),
    (
      "{}", "{runAsNonRoot: true}", .name("app"),
      "container has runAsNonRoot and image has non-numeric user (app), cannot verify user is non-root "
        + "(pod: \"web_shop(u-1)\", container: main)"
    ),
  ])
  func mayNotRunAsRoot(pod: String, container: String, user: ImageUser, message: String) {
    let error = #expect(throws: ContainerConfigError.self) { try context(pod: pod, container: container, user: user) }
    #expect(error?.description == message)
  }

  @Test(arguments: [
    ("{runAsNonRoot: true}", "{}", ImageUser.uid(5)), ("{runAsNonRoot: true}", "{runAsUser: 5}", .uid(0)),
    ("{runAsNonRoot: true}", "{runAsNonRoot: false}", .uid(0)), ("{}", "{}", .uid(0)), ("{}", "{runAsNonRoot: false}", .name("root")),
    ("{runAsNonRoot: true}", "{runAsUser: 5}", .name("app")),
  ])
  func mayRun(pod: String, container: String, user: ImageUser) throws {
    _ = try context(pod: pod, container: container, user: user)
  }

  @Test func privileges() throws {
    let plain = try context()
    #expect(!plain.privileged && !plain.readonlyRootfs && !plain.noNewPrivs)
    let own = try context(
      container: "{privileged: true, readOnlyRootFilesystem: true, capabilities: {add: [NET_ADMIN], drop: [ALL]}}")
    #expect(own.privileged && own.readonlyRootfs && !own.noNewPrivs)
    #expect(own.capabilities.addCapabilities == ["NET_ADMIN"] && own.capabilities.dropCapabilities == ["ALL"])
    #expect(try context(container: "{allowPrivilegeEscalation: false}").noNewPrivs)
    #expect(try !context(container: "{allowPrivilegeEscalation: true}").noNewPrivs)
  }

  @Test func groups() throws {
    let own = try context(pod: "{fsGroup: 3, supplementalGroups: [1, 2], supplementalGroupsPolicy: Strict}", extraGroups: [9])
    #expect(own.supplementalGroups == [3, 1, 2, 9])
    #expect(own.supplementalGroupsPolicy == .strict)
    let pod = try Pod.yaml("{securityContext: {supplementalGroupsPolicy: Strict}, containers: [{name: a}]}")
    #expect(SupplementalGroupsPolicy.admit(pod, engineSupportsPolicy: false)?.reason == "SupplementalGroupsPolicyNotSupported")
    #expect(SupplementalGroupsPolicy.admit(pod, engineSupportsPolicy: true) == nil)
  }

  @Test func procMount() throws {
    var builder = SecurityContextBuilder(seccompRoot: "/s")
    builder.thermalThrottlePaths = ["/sys/devices/system/cpu/cpu0/thermal_throttle"]
    let plain = try context(builder: builder)
    #expect(
      Set(plain.maskedPaths) == [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
        "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
        "/sys/devices/system/cpu/cpu0/thermal_throttle",
      ])
    #expect(plain.readonlyPaths == ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"])
    let unmasked = try context(container: "{procMount: Unmasked}", builder: builder)
    #expect(unmasked.maskedPaths.isEmpty && unmasked.readonlyPaths.isEmpty)
    #expect(try context(container: "{procMount: Default}", builder: builder).maskedPaths.count == 13)
  }

  @Test func seccomp() throws {
    #expect(try context().seccomp.profileType == .unconfined)
    var builder = SecurityContextBuilder(seccompRoot: "/var/lib/kubelet/seccomp")
    builder.seccompDefault = true
    #expect(try context(builder: builder).seccomp.profileType == .runtimeDefault)
    #expect(try context(container: "{seccompProfile: {type: Unconfined}}", builder: builder).seccomp.profileType == .unconfined)
    let local = try context(container: "{seccompProfile: {type: Localhost, localhostProfile: profiles/./audit.json}}").seccomp
    #expect(local.profileType == .localhost && local.localhostRef == "/var/lib/kubelet/seccomp/profiles/audit.json")
  }

  @Test(arguments: [
    ("{type: Localhost}", ContainerConfigError.seccompProfileNotSet),
    ("{type: Localhost, localhostProfile: ''}", .seccompProfileNotSet),
    ("{type: Localhost, localhostProfile: ../x.json}", .seccompProfileOutside("../x.json")),
    ("{type: Localhost, localhostProfile: a/../../x.json}", .seccompProfileOutside("a/../../x.json")),
    ("{type: Localhost, localhostProfile: /etc/x.json}", .seccompProfileOutside("/etc/x.json")),
  ])
  func badSeccompProfiles(profile: String, error: ContainerConfigError) {
    #expect(throws: error) { try context(container: "{seccompProfile: \(profile)}") }
  }

  @Test func appArmor() throws {
    let annotation = "container.apparmor.security.beta.kubernetes.io/main"
    #expect(try !context().hasApparmor)
    let local = try context(
      container: "{appArmorProfile: {type: Localhost, localhostProfile: k8s-x}}", annotations: [annotation: "unconfined"])
    #expect(local.apparmor.profileType == .localhost && local.apparmor.localhostRef == "k8s-x")
    let annotated = try context(pod: "{appArmorProfile: {type: Unconfined}}", annotations: [annotation: "localhost/k8s-y"])
    #expect(annotated.apparmor.profileType == .localhost && annotated.apparmor.localhostRef == "k8s-y")
    #expect(try context(annotations: [annotation: "runtime/default"]).apparmor.profileType == .runtimeDefault)
    #expect(try context(pod: "{appArmorProfile: {type: Unconfined}}").apparmor.profileType == .unconfined)
    #expect(throws: ContainerConfigError.appArmorProfileInvalid("nonsense")) { try context(annotations: [annotation: "nonsense"]) }
    #expect(throws: ContainerConfigError.appArmorProfileNotSet) { try context(container: "{appArmorProfile: {type: Localhost}}") }
  }

  @Test(arguments: [
    ("{}", "{}", nil as String?, false), ("{appArmorProfile: {type: RuntimeDefault}}", "{}", nil, true),
    ("{appArmorProfile: {type: Unconfined}}", "{}", nil, false), ("{}", "{appArmorProfile: {type: RuntimeDefault}}", nil, true),
    ("{}", "{}", "runtime/default", true), ("{}", "{}", "unconfined", false),
  ])
  func appArmorNeedsTheHost(pod: String, container: String, annotation: String?, rejected: Bool) throws {
    let pod = try Pod.yaml(
      "{securityContext: \(pod), containers: [{name: main, securityContext: \(container)}]}",
      annotations: annotation.map { ["container.apparmor.security.beta.kubernetes.io/main": $0] })
    let rejection = AdmissionRejection(reason: "AppArmor", message: "Cannot enforce AppArmor: AppArmor is not enabled on the host")
    #expect(AppArmor.admit(pod, hostHasAppArmor: false) == (rejected ? rejection : nil))
    #expect(AppArmor.admit(pod, hostHasAppArmor: true) == nil)
  }

  @Test(arguments: [
    ("", "pod pod container"), ("hostNetwork: true", "node pod container"), ("hostIPC: true", "pod node container"),
    ("hostPID: true", "pod pod node"), ("shareProcessNamespace: true", "pod pod pod"),
  ])
  func namespaces(spec: String, expected: String) throws {
    let options = try context(spec: spec).namespaceOptions
    #expect("\(options.network) \(options.ipc) \(options.pid)" == expected)
  }

  @Test func aTargetCountsOnlyWhereProcessesAreSeparate() throws {
    let separate = try context(target: "abc").namespaceOptions
    #expect(separate.pid == .target && separate.targetID == "abc")
    let shared = try context(spec: "shareProcessNamespace: true", target: "abc").namespaceOptions
    #expect(shared.pid == .pod && shared.targetID == "")
  }

  @Test func sandbox() throws {
    let pod = try Pod.yaml(
      """
      hostNetwork: true
      securityContext: {runAsUser: 1, runAsGroup: 2, fsGroup: 3, supplementalGroups: [4], seccompProfile: {type: Unconfined}}
      containers: [{name: a}]
      initContainers: [{name: i, securityContext: {privileged: true}}]
      """)
    let context = SecurityContextBuilder(seccompRoot: "/s").sandbox(pod, extraGroups: [5])
    #expect(context.privileged)
    #expect(context.seccomp.profileType == .runtimeDefault && context.hasSeccomp)
    #expect(context.runAsUser.value == 1 && context.runAsGroup.value == 2)
    #expect(context.supplementalGroups == [3, 4, 5])
    #expect(context.namespaceOptions.network == .node)
    let plain = SecurityContextBuilder(seccompRoot: "/s").sandbox(try Pod.yaml("containers: [{name: a}]"))
    #expect(!plain.privileged && !plain.hasRunAsUser && plain.hasSeccomp && plain.namespaceOptions.pid == .container)
  }
}

struct SysctlAllowlistTests {
  private let kernel = KernelVersion(major: 6, minor: 1)

  private func rejection(_ name: String, unsafe: [String] = [], spec: String = "", kernel: KernelVersion? = nil) throws -> String? {
    let pod = try Pod.yaml(
      "securityContext: {sysctls: [{name: \"\(name)\", value: '1'}]}\ncontainers: [{name: a}]\n\(spec)")
    let rejection = try SysctlAllowlist(unsafe: unsafe, kernel: kernel ?? self.kernel).admit(pod)
    if let rejection { #expect(rejection.reason == "SysctlForbidden") }
    return rejection?.message
  }

  @Test(arguments: [
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_wmem", "net/ipv4/tcp_syncookies",
  ])
  func safe(name: String) throws { #expect(try rejection(name) == nil) }

  @Test func others() throws {
    #expect(try rejection("kernel.msgmax") == "forbidden sysctl: \"kernel.msgmax\" not allowlisted")
    #expect(try rejection("net/core/somaxconn") == "forbidden sysctl: \"net.core.somaxconn\" not allowlisted")
    #expect(try rejection("kernel.msgmax", unsafe: ["kernel.msg*"]) == nil)
    #expect(try rejection("net.core.somaxconn", unsafe: ["net.core.somaxconn"]) == nil)
    #expect(try rejection("net.core.somaxconn2", unsafe: ["net.core.somaxconn"]) != nil)
    #expect(try rejection("net.ipv4.tcp_rmem", kernel: KernelVersion(major: 4, minor: 14)) != nil)
    #expect(try rejection("net.ipv4.tcp_rmem", kernel: KernelVersion(major: 4, minor: 15)) == nil)
  }

  @Test func notTheHosts() throws {
    #expect(
      try rejection("net.ipv4.tcp_syncookies", spec: "hostNetwork: true")
        == "forbidden sysctl: \"net.ipv4.tcp_syncookies\" not allowed with host net enabled")
    #expect(
      try rejection("kernel.shm_rmid_forced", spec: "hostIPC: true")
        == "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host ipc enabled")
    #expect(try rejection("kernel.shm_rmid_forced", spec: "hostNetwork: true") == nil)
    #expect(try rejection("kernel.msgmax", unsafe: ["kernel.msg*"], spec: "hostIPC: true") != nil)
  }

  @Test(arguments: ["vm.swappiness", "kernel.*", "*", "net.*.x", "", "kernel.hostname", "Net.core", "net..core"])
  func badPatterns(pattern: String) {
    #expect(throws: SysctlAllowlist.InvalidPattern.self) { try SysctlAllowlist(unsafe: [pattern], kernel: kernel) }
  }

  @Test(arguments: [
    ("net/ipv4/conf/eth0.1/rp_filter", "net.ipv4.conf.eth0/1.rp_filter"), ("net.ipv4.conf.eth0/1.x", "net.ipv4.conf.eth0/1.x"),
    ("plain", "plain"),
  ])
  func normalises(name: String, expected: String) { #expect(SysctlAllowlist.normalise(name) == expected) }
}
