import Core

/// How long things may take. Tests are in more of a hurry.
struct HubTiming: Sendable {
  /// Between tries to get a certificate.
  var enrollment = Backoff(initial: .seconds(1), maximum: .seconds(30))
  /// Between tries to renew it.
  var renewal = Backoff(initial: .seconds(2), maximum: .seconds(600), jitter: 0.1)
  /// The first wait after a connection was lost.
  var reconnection: Duration = .milliseconds(800)
  /// The longest wait between tries to connect: a cloud that is back learns soon how its nodes are.
  var longestWait: Duration = .seconds(5)
  /// How long a cloud that was asked may say nothing.
  var muteLimit: Duration = .seconds(60)
  /// For what is left in the mailbox when the module stops.
  var drainLimit: Duration = .seconds(2)
}
