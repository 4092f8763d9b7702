/// A call that ended with another status than OK, or that didn't get as far as a status.
public struct GRPCError: Error, Sendable, Hashable, CustomStringConvertible {
  /// gRPC's status codes.
  public enum Code: Int, Sendable, Hashable {
    case cancelled = 1
    case unknown, invalidArgument, deadlineExceeded, notFound, alreadyExists, permissionDenied, resourceExhausted
    case failedPrecondition, aborted, outOfRange, unimplemented, internalError, unavailable, dataLoss, unauthenticated
  }

  public var code: Code
  public var message: String

  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  public var description: String { message.isEmpty ? "\(code)" : message }

  /// The engines' vocabulary. What has no word of its own there is `unknown`.
  var runtimeCode: RuntimeError.Code {
    switch code {
    case .invalidArgument, .outOfRange: .invalidArgument
    case .deadlineExceeded: .deadlineExceeded
    case .notFound: .notFound
    case .alreadyExists: .alreadyExists
    case .permissionDenied: .permissionDenied
    case .resourceExhausted: .resourceExhausted
    case .failedPrecondition, .aborted: .failedPrecondition
    case .unimplemented: .unsupported
    case .internalError, .dataLoss: .internalError
    case .unavailable: .unavailable
    case .unauthenticated: .unauthenticated
    case .unknown, .cancelled: .unknown
    }
  }
}
