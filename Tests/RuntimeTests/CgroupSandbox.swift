import Glibc
import Testing

@testable import Runtime

/// A place in the host's control groups of this test's own, and processes in it.
final class CgroupSandbox: Sendable {
  static let hierarchy = try? CgroupHierarchy.detect()

  /// Whether this process may make groups in v1 hierarchies.
  static let worksWithV1: Bool = {
    guard getuid() == 0, let hierarchy, hierarchy.version != .v2, let memory = hierarchy.mounts["memory"] else { return false }
    return (try? hierarchy.requireControllers()) != nil && access(memory, W_OK) == 0
  }()

  static let v1Comment: Comment = "needs root and the v1 controllers cpu, cpuacct, cpuset, memory and pids, writable"

  let root: String
  let cgroups: PodCgroups

  init(_ name: String) throws {
    let hierarchy = try #require(Self.hierarchy)
    root = "/edgecore-test-\(getpid())-\(name)"
    cgroups = PodCgroups(hierarchy: hierarchy, driver: .cgroupfs, root: root)
  }

  /// Runs the body and removes every group of the sandbox whatever happens.
  static func with(_ name: String, _ body: (CgroupSandbox) async throws -> Void) async throws {
    let sandbox = try CgroupSandbox(name)
    do {
      try await body(sandbox)
    } catch {
      try? sandbox.removeAll()
      throw error
    }
    try sandbox.removeAll()
  }

  func removeAll() throws {
    try CgroupRemoval(groups: cgroups.directories(cgroups.root), timeout: .seconds(20)).run()
  }

  /// The text of a file of a group, e.g. `cpu.shares` in `kubepods/burstable` of the controller `cpu`.
  func file(_ file: String, _ group: String, _ controller: String) throws -> String {
    let mount = try #require(cgroups.hierarchy.mounts[controller])
    return String(try CgroupDirectory.read("\(mount)\(root)/\(group)/\(file)").prefix { !$0.isWhitespace })
  }

  /// Starts a process that sleeps, and moves it into a group of each of those hierarchies.
  func startProcess(in group: String, mounts: [String]) throws -> pid_t {
    let process = try Self.sleeper()
    for mount in mounts {
      try CgroupDirectory(path: "\(mount)\(root)/\(group)").write(String(process), to: "cgroup.procs")
    }
    return process
  }

  /// A process that ignores SIGTERM's kin by sleeping for longer than any test.
  static func sleeper() throws -> pid_t {
    var process = pid_t()
    let arguments: [UnsafeMutablePointer<CChar>?] = [strdup("sleep"), strdup("600"), nil]
    defer { for argument in arguments { free(argument) } }
    let code = posix_spawn(&process, "/bin/sleep", nil, nil, arguments, nil)
    try #require(code == 0, "posix_spawn: \(code)")
    return process
  }

  /// The signal that ended the process; waits for its end.
  static func signalThatEnded(_ process: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(process, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F
  }
}
