import CSeccomp
import Glibc

/// Builds a profile's filter the way engines do.
enum SeccompFilter {
  /// What keeps the profile, whose words are known to be right, from becoming a filter; empty if it becomes one.
  static func problems(of profile: OCISeccompProfile) -> [String] {
    let defaultCode = profile.defaultErrnoRet
    guard let defaultAction = SeccompWords.action(profile.defaultAction, code: defaultCode), let context = seccomp_init(defaultAction)
    else { return ["defaultAction: the kernel or libseccomp doesn't support \(profile.defaultAction)"] }
    defer { seccomp_release(context) }

    var problems: [String] = []
    let architectures = profile.architectures ?? subArchitectures(profile.archMap ?? [])
    for name in architectures {
      guard let token = SeccompWords.architecture(name) else { continue }
      let code = seccomp_arch_add(context, token)
      // The host's own is there from the start.
      if code != 0, code != -EEXIST { problems.append("architecture \(name): \(reason(code))") }
    }
    for (index, rule) in (profile.syscalls ?? []).enumerated() {
      guard let action = SeccompWords.action(rule.action, code: rule.errnoRet ?? defaultCode) else { continue }
      // The library refuses rules that change nothing.
      guard action != defaultAction else { continue }
      for name in rule.allNames {
        let number = seccomp_syscall_resolve_name(name)
        guard number != cseccomp_unknown_syscall else { continue }
        for condition in conditions(rule.args ?? []) {
          let code = seccomp_rule_add_array(context, action, number, UInt32(condition.count), condition)
          if code != 0, code != -EEXIST { problems.append("syscalls[\(index)]: \(name): \(reason(code))") }
        }
      }
    }
    guard problems.isEmpty else { return problems }

    let sink = open("/dev/null", O_WRONLY | O_CLOEXEC)
    guard sink >= 0 else { return ["can't open /dev/null: \(String(cString: strerror(errno)))"] }
    defer { close(sink) }
    let code = seccomp_export_bpf(context, sink)
    return code == 0 ? [] : ["the filter doesn't compile: \(reason(code))"]
  }

  /// The sets of comparisons that each make a rule of their own. Comparisons of different arguments must all hold; as soon as
  /// one argument is compared twice, each comparison is an alternative.
  private static func conditions(_ arguments: [OCISeccompProfile.Argument]) -> [[scmp_arg_cmp]] {
    let comparisons = arguments.compactMap { argument in
      SeccompWords.comparisons[argument.op].map {
        scmp_arg_cmp(arg: argument.index, op: $0, datum_a: argument.value, datum_b: argument.valueTwo ?? 0)
      }
    }
    return Set(arguments.map(\.index)).count == arguments.count ? [comparisons] : comparisons.map { [$0] }
  }

  /// Docker's map has the architectures of every host it may be used on; those of this host count.
  private static func subArchitectures(_ maps: [OCISeccompProfile.Architecture]) -> [String] {
    let native = seccomp_arch_native()
    return maps.first { SeccompWords.architecture($0.architecture) == native }?.subArchitectures ?? []
  }

  private static func reason(_ code: Int32) -> String { String(cString: strerror(-code)) }
}
