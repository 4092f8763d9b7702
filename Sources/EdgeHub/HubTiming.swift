import Core
import WebSocket

/// How long things may take, and how big they may be. Tests are in more of a hurry, and content with less.
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
  /// Of a message from the cloud, bytes.
  var messageLimit = WebSocketConnection.messageLimit
}
