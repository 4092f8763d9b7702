import Glibc

/// A control group that can't be made, set or removed.
public enum CgroupError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The kernel offers no control groups where they are looked for.
  case noHierarchy(source: String)
  /// Controllers that pods need and the kernel or the host's set-up doesn't offer.
  case missingControllers([String], available: [String])
  /// A system call failed.
  case system(operation: String, path: String, code: Int32)
  /// The group still had processes when the time to remove it was over.
  case busy(path: String, processes: [Int32])

  public var description: String {
    switch self {
    case .noHierarchy(let source):
      return "no control groups are mounted (read \(source)); mount cgroup2 at /sys/fs/cgroup, or the v1 controllers below it"
    case .missingControllers(let missing, let available):
      return "the control group controllers \(missing.joined(separator: ", ")) are missing; available are "
        + (available.isEmpty ? "none" : available.joined(separator: ", "))
        + ". They may be disabled on the kernel's command line (cgroup_enable=memory) or not delegated in cgroup.subtree_control"
    case .system(let operation, let path, let code):
      return "\(operation) \(path): \(String(cString: strerror(code)))"
    case .busy(let path, let processes):
      let list = processes.prefix(10).map(String.init).joined(separator: ", ")
      return "the control group \(path) is still in use" + (processes.isEmpty ? "" : " by the processes \(list)")
    }
  }
}
