import Curl

extension GRPCChannel {
  /// What went wrong below gRPC, in gRPC's words. A cancellation stays one.
  static func translate(_ error: any Error) -> any Error {
    guard let error = error as? HTTPError else { return error }
    let code: GRPCError.Code =
      switch error.kind {
      case .timedOut: .deadlineExceeded
      case .bodyTooLarge: .resourceExhausted
      case .invalidRequest: .invalidArgument
      case .invalidResponse: .internalError
      default: .unavailable
      }
    return GRPCError(code, error.description)
  }
}
