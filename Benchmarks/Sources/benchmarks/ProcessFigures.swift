import Foundation

/// What the kernel counts of a process.
struct ProcessFigures {
  /// CPU time in user and kernel mode.
  var cpu: Duration
  /// Bytes of memory in RAM, and those of them that belong to no file.
  var resident: Int
  var anonymous: Int
  var threads: Int

  init(pid: pid_t) throws {
    let stat = try String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)
    // The name in parentheses may contain anything; user and kernel time are the 14th and 15th field.
    let fields = stat[(stat.lastIndex(of: ")") ?? stat.startIndex)...].split(separator: " ")
    guard fields.count > 13, let user = Int(fields[12]), let kernel = Int(fields[13]) else { throw Failure("can't read: \(stat)") }
    cpu = .milliseconds((user + kernel) * 1000 / sysconf(Int32(_SC_CLK_TCK)))
    var values: [Substring: Int] = [:]
    for line in try String(contentsOfFile: "/proc/\(pid)/status", encoding: .utf8).split(separator: "\n") {
      let words = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
      if words.count > 1, let value = Int(words[1]) { values[words[0]] = value }
    }
    resident = (values["VmRSS:"] ?? 0) << 10
    anonymous = (values["RssAnon:"] ?? 0) << 10
    threads = values["Threads:"] ?? 0
  }

  /// The first process of a pod's container, whose command line begins with `command`.
  static func find(podUID: String, command: [String]) -> pid_t? {
    let beginning = command.joined(separator: "\0")
    for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
      guard let pid = pid_t(entry), let line = try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8),
        line.hasPrefix(beginning), let groups = try? String(contentsOfFile: "/proc/\(pid)/cgroup", encoding: .utf8),
        groups.contains(podUID)
      else { continue }
      return pid
    }
    return nil
  }
}
