import Synchronization

/// Whether the engine may give its containers a negative OOM score. Without CAP_SYS_RESOURCE it can't, and containers that ask for
/// one fail to start.
final class DockerOOMScores: Sendable {
  private let refused = Mutex<Bool?>(nil)

  /// The pause process is the last to be killed but for the engine itself.
  static let sandbox: Int64 = -998

  /// nil: nobody knows yet.
  var areRefused: Bool? { refused.withLock { $0 } }

  /// Returns true when that is news.
  func learn(refused isRefused: Bool) -> Bool {
    refused.withLock { known in
      defer { known = isRefused }
      return known != isRefused
    }
  }

  func allowed(_ score: Int64) -> Int64 { areRefused == true ? max(score, 0) : score }

  /// Whether a start may have failed for its negative score: runc's first process ends before it has said why.
  static func explains(_ error: RuntimeError) -> Bool {
    error.message.contains("can't get final child's PID from pipe") || error.message.contains("oom_score_adj")
  }
}
