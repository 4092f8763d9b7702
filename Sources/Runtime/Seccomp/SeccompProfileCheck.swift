import CSeccomp
import FoundationEssentials
import Glibc

/// Proves that a seccomp profile can be used before an engine gets it.
///
/// Engines refuse a bad profile late, with the container already made, and silently leave out calls that they don't know: a
/// misspelt name in a list of allowed calls takes the call away, in a list of forbidden ones it lets the call pass.
public enum SeccompProfileCheck {
  /// What is odd about a usable profile.
  public struct Report: Sendable, Hashable {
    /// Calls that only other architectures have, or that are newer than this host's library; engines leave them out.
    public var skippedSyscalls: [String]
  }

  /// The largest profile that is read, in bytes.
  static let maximumSize = 4 << 20

  /// Reads and checks a profile.
  /// - Throws: `SeccompProfileError` with everything that is wrong.
  @discardableResult
  public static func check(path: String) throws(SeccompProfileError) -> Report {
    try check(try read(path), path: path)
  }

  /// Checks the text of a profile; the path is for messages.
  @discardableResult
  public static func check(_ json: [UInt8], path: String) throws(SeccompProfileError) -> Report {
    let profile: OCISeccompProfile
    do {
      profile = try JSONDecoder().decode(OCISeccompProfile.self, from: Data(json))
    } catch {
      throw SeccompProfileError(path: path, problems: [explain(error)])
    }
    var names = NameCheck()
    names.check(profile)
    guard names.problems.isEmpty else { throw SeccompProfileError(path: path, problems: names.problems) }
    let problems = SeccompFilter.problems(of: profile)
    guard problems.isEmpty else { throw SeccompProfileError(path: path, problems: problems) }
    return Report(skippedSyscalls: names.skipped.sorted())
  }

  private static func read(_ path: String) throws(SeccompProfileError) -> [UInt8] {
    func failure(_ operation: String, _ code: Int32) -> SeccompProfileError {
      SeccompProfileError(path: path, problems: ["can't \(operation): \(String(cString: strerror(code)))"])
    }
    let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw failure("open", errno) }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 16384)
    while bytes.count <= maximumSize {
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count == 0 { return bytes }
      if count > 0 {
        bytes.append(contentsOf: buffer[..<count])
      } else if errno != EINTR {
        throw failure("read", errno)
      }
    }
    throw SeccompProfileError(path: path, problems: ["is larger than \(maximumSize) bytes"])
  }

  private static func explain(_ error: any Error) -> String {
    func place(_ path: [any CodingKey]) -> String {
      var text = ""
      for key in path {
        if let index = key.intValue { text += "[\(index)]" } else { text += (text.isEmpty ? "" : ".") + key.stringValue }
      }
      return text.isEmpty ? "the profile" : text
    }
    switch error {
    case DecodingError.keyNotFound(let key, let context): return "\(place(context.codingPath + [key])) is missing"
    case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context):
      return "\(place(context.codingPath)) has the wrong type: \(context.debugDescription)"
    case DecodingError.dataCorrupted(let context): return "\(place(context.codingPath)): \(context.debugDescription)"
    default: return "\(error)"
    }
  }
}

/// Looks at every word of a profile.
private struct NameCheck {
  var problems: [String] = []
  var skipped: Set<String> = []

  mutating func check(_ profile: OCISeccompProfile) {
    action(profile.defaultAction, at: "defaultAction")
    if profile.defaultAction == "SCMP_ACT_NOTIFY" { problems.append("defaultAction can't be SCMP_ACT_NOTIFY") }
    for (index, name) in (profile.architectures ?? []).enumerated() { architecture(name, at: "architectures[\(index)]") }
    for (index, map) in (profile.archMap ?? []).enumerated() {
      architecture(map.architecture, at: "archMap[\(index)].architecture")
      for (sub, name) in (map.subArchitectures ?? []).enumerated() { architecture(name, at: "archMap[\(index)].subArchitectures[\(sub)]") }
    }
    for (index, flag) in (profile.flags ?? []).enumerated() where !SeccompWords.flags.contains(flag) {
      problems.append("flags[\(index)]: unknown flag \(flag); known are \(SeccompWords.flags.joined(separator: ", "))")
    }
    for (index, rule) in (profile.syscalls ?? []).enumerated() { check(rule, at: "syscalls[\(index)]") }
  }

  private mutating func check(_ rule: OCISeccompProfile.Rule, at place: String) {
    action(rule.action, at: place + ".action")
    if rule.allNames.isEmpty { problems.append("\(place).names: names no system call") }
    if rule.action == "SCMP_ACT_NOTIFY", rule.allNames.contains("write") {
      problems.append("\(place): SCMP_ACT_NOTIFY can't be used for write")
    }
    var unknown: [String] = []
    for name in rule.allNames {
      let number = seccomp_syscall_resolve_name(name)
      // Negative numbers other than that of "unknown" stand for calls of other architectures.
      if number >= 0 { continue }
      if number != cseccomp_unknown_syscall || SeccompWords.newerSyscalls.contains(name) {
        skipped.insert(name)
      } else {
        unknown.append(name)
      }
    }
    if !unknown.isEmpty { problems.append("\(place).names: unknown system calls: \(unknown.joined(separator: ", "))") }
    for (index, argument) in (rule.args ?? []).enumerated() {
      if argument.index > 5 { problems.append("\(place).args[\(index)].index: \(argument.index) is not 0 to 5") }
      if SeccompWords.comparisons[argument.op] == nil {
        let known = SeccompWords.comparisons.keys.sorted().joined(separator: ", ")
        problems.append("\(place).args[\(index)].op: unknown comparison \(argument.op); known are \(known)")
      }
    }
  }

  private mutating func action(_ name: String, at place: String) {
    guard SeccompWords.action(name, code: nil) == nil else { return }
    problems.append("\(place): unknown action \(name); known are \(SeccompWords.actions.joined(separator: ", "))")
  }

  private mutating func architecture(_ name: String, at place: String) {
    guard SeccompWords.architecture(name) == nil else { return }
    problems.append("\(place): unknown architecture \(name); the names are those of libseccomp, like SCMP_ARCH_X86_64")
  }
}
