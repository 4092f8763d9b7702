import CSeccomp

/// The names of actions, comparisons, architectures and flags in profiles.
enum SeccompWords {
  static let actions = [
    "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_TRAP", "SCMP_ACT_ERRNO", "SCMP_ACT_TRACE",
    "SCMP_ACT_ALLOW", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY",
  ]

  /// The library's number of an action; nil if there is none of that name.
  /// - Parameter code: What a refused call returns (default EPERM), or the message to the tracer.
  static func action(_ name: String, code: UInt32?) -> UInt32? {
    switch name {
    case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": SCMP_ACT_KILL_THREAD
    case "SCMP_ACT_KILL_PROCESS": SCMP_ACT_KILL_PROCESS
    case "SCMP_ACT_TRAP": SCMP_ACT_TRAP
    case "SCMP_ACT_ERRNO": cseccomp_act_errno(code ?? 1)
    case "SCMP_ACT_TRACE": cseccomp_act_trace(code ?? 1)
    case "SCMP_ACT_ALLOW": SCMP_ACT_ALLOW
    case "SCMP_ACT_LOG": SCMP_ACT_LOG
    case "SCMP_ACT_NOTIFY": SCMP_ACT_NOTIFY
    default: nil
    }
  }

  static let comparisons: [String: scmp_compare] = [
    "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE, "SCMP_CMP_EQ": SCMP_CMP_EQ,
    "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT, "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
  ]

  static let flags = [
    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
  ]

  /// The library's token of an architecture such as `SCMP_ARCH_X86_64`; nil if it knows none of that name.
  static func architecture(_ name: String) -> UInt32? {
    guard name.hasPrefix("SCMP_ARCH_") else { return nil }
    let token = seccomp_arch_resolve_name(name.dropFirst("SCMP_ARCH_".count).lowercased())
    return token == 0 ? nil : token
  }

  /// Calls that the kernel got after the oldest library that we build with was released. Profiles of current engines name
  /// them, and the engines skip what their library doesn't know.
  static let newerSyscalls: Set<String> = [
    "cachestat", "fchmodat2", "file_getattr", "file_setattr", "futex_requeue", "futex_wait", "futex_wake", "getxattrat", "listmount",
    "listns", "listxattrat", "lsm_get_self_attr", "lsm_list_modules", "lsm_set_self_attr", "map_shadow_stack", "mseal", "open_tree_attr",
    "removexattrat", "riscv_hwprobe", "rseq_slice_yield", "setxattrat", "statmount", "uprobe", "uretprobe",
  ]
}
