/// How one attempt of a probe went.
struct ProbeOutcome: Sendable, Hashable {
  enum Verdict: Sendable, Hashable {
    case success
    case failure
    /// A success that someone should hear of.
    case warning
    /// The attempt itself didn't work, so it says nothing about the container.
    case unknown
  }

  var verdict: Verdict
  /// What the container answered, or why there is no answer; at most `outputLimit` bytes.
  var output: String

  static let outputLimit = 10 * 1024

  static func success(_ output: String = "") -> ProbeOutcome { ProbeOutcome(verdict: .success, output: output) }
  static func failure(_ output: String) -> ProbeOutcome { ProbeOutcome(verdict: .failure, output: output) }
  static func warning(_ output: String) -> ProbeOutcome { ProbeOutcome(verdict: .warning, output: output) }
  static func unknown(_ output: String) -> ProbeOutcome { ProbeOutcome(verdict: .unknown, output: output) }
}
