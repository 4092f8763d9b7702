import GRPC

extension GRPCError {
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
