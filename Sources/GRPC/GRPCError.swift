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
}
