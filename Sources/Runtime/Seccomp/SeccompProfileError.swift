/// A seccomp profile that no engine would take.
public struct SeccompProfileError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The profile's file.
  public var path: String
  /// What is wrong, each with the entry it is in: `syscalls[3].action`.
  public var problems: [String]

  public var description: String { "seccomp profile \(path): \(problems.joined(separator: "; "))" }
}
