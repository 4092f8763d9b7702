/// A request to the container engine that failed.
public struct RuntimeError: Error, Sendable, CustomStringConvertible {
  /// What kind of failure, in gRPC's words; Docker's HTTP statuses are mapped onto the same.
  public enum Code: String, Sendable, Hashable {
    case unavailable, notFound, alreadyExists, invalidArgument, deadlineExceeded, failedPrecondition, permissionDenied
    case resourceExhausted, unsupported, unauthenticated, internalError, unknown
  }

  public var code: Code
  /// The call, in CRI's words: `RunPodSandbox`.
  public var operation: String
  /// The engine's own message.
  public var message: String

  public init(_ code: Code, operation: String, message: String) {
    self.code = code
    self.operation = operation
    self.message = message
  }

  public var description: String { "\(operation): \(message)" }
}
