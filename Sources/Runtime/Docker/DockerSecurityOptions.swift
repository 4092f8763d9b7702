import FoundationEssentials
import Glibc

/// `SecurityOpt` of a container: SELinux, seccomp, AppArmor and no-new-privileges.
enum DockerSecurityOptions {
  static func options(_ security: CRILinuxContainerSecurityContext) throws(RuntimeError) -> [String] {
    var options = security.hasSelinuxOptions ? selinux(security.selinuxOptions) : []
    if security.noNewPrivs { options.append("no-new-privileges") }
    // The engine lifts both from privileged containers.
    guard !security.privileged else { return options }
    options += try seccomp(security.hasSeccomp ? security.seccomp : nil)
    if security.hasApparmor, let profile = apparmor(security.apparmor) { options.append("apparmor=\(profile)") }
    return options
  }

  static func selinux(_ selinux: CRISELinuxOption) -> [String] {
    [("user", selinux.user), ("role", selinux.role), ("type", selinux.type), ("level", selinux.level)]
      .filter { !$0.1.isEmpty }.map { "label=\($0.0):\($0.1)" }
  }

  /// No profile means none is applied, as in CRI; the engine's own applies when it is left out.
  static func seccomp(_ profile: CRISecurityProfile?) throws(RuntimeError) -> [String] {
    guard let profile else { return ["seccomp=unconfined"] }
    switch profile.profileType {
    case .runtimeDefault: return []
    case .localhost: return ["seccomp=\(try compact(profile.localhostRef))"]
    case .unconfined, .UNRECOGNIZED: return ["seccomp=unconfined"]
    }
  }

  private static func apparmor(_ profile: CRISecurityProfile) -> String? {
    switch profile.profileType {
    case .runtimeDefault: return nil
    case .localhost:
      let name = profile.localhostRef
      return name.hasPrefix("localhost/") ? String(name.dropFirst("localhost/".count)) : name
    case .unconfined, .UNRECOGNIZED: return "unconfined"
    }
  }

  /// The engine wants the profile itself, not its path.
  private static func compact(_ path: String) throws(RuntimeError) -> String {
    do {
      return String(decoding: try Data(contentsOf: URL(filePath: path)), as: UTF8.self)
    } catch {
      throw RuntimeError(
        .invalidArgument, operation: "CreateContainer", message: "can't read the seccomp profile \(path): \(error)")
    }
  }
}
