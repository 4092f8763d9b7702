import Core

/// How much may be under way, and how long things may take. Tests are in more of a hurry, and content with less.
struct BusLimits: Sendable {
  /// Bytes of an application's request to the cloud, and of an application's answer; more of an answer is cut off.
  var body = 5_000_000
  /// Requests of applications that wait for the cloud.
  var requests = 256
  /// Bytes of all of them.
  var requestBytes = 32 << 20
  /// Requests of the cloud that wait for applications.
  var calls = 256
  /// Bytes of all of them and of their answers.
  var callBytes = 32 << 20
  /// For an application's whole answer.
  var callTimeout: Duration = .seconds(10)
  /// Until the answer has gone to the cloud.
  var sending: Duration = .seconds(60)
  /// Requests of the cloud that were refused, and couldn't be told so yet.
  var refusals = 1024
  /// For the requests under way when the last rule goes.
  var farewell: Duration = .seconds(5)
  /// URLs that rules allow.
  var targets = 10_000
  /// Between tries to listen, and to write down what rules allow.
  var retry = Backoff(initial: .milliseconds(500), maximum: .seconds(10))
}
