import Curl
import FoundationEssentials

extension RuntimeError {
  /// The meaning of an answer with a status from 400 on.
  init(docker reply: DockerAPI.Reply, operation: String) {
    let text = String(decoding: reply.body.prefix(4096), as: UTF8.self)
    let message = (try? JSONDecoder().decode(DockerFailure.self, from: Data(reply.body)))?.message ?? text
    self.init(
      Self.code(dockerStatus: reply.status, message: message), operation: operation,
      message: message.isEmpty ? "the engine answered with status \(reply.status)" : message)
  }

  static func code(dockerStatus status: Int, message: String) -> Code {
    switch status {
    case 400: .invalidArgument
    case 401: .unauthenticated
    case 403: .permissionDenied
    case 404: .notFound
    case 405, 501: .unsupported
    case 408, 504: .deadlineExceeded
    case 409: message.contains("is already in use by container") ? .alreadyExists : .failedPrecondition
    case 429: .resourceExhausted
    case 503: .unavailable
    case 500: message.lowercased().contains("unauthorized") ? .unauthenticated : .internalError
    default: .unknown
    }
  }

  init(transport error: HTTPError, operation: String) {
    switch error.kind {
    case .upgradeRefused(let status, let body):
      self.init(docker: DockerAPI.Reply(status: status, body: Array(body.utf8)), operation: operation)
    case .timedOut:
      self.init(.deadlineExceeded, operation: operation, message: error.description)
    case .couldNotConnect, .connectionLost, .clientShutdown:
      self.init(.unavailable, operation: operation, message: error.description)
    case .invalidRequest:
      self.init(.invalidArgument, operation: operation, message: error.description)
    case .bodyTooLarge:
      self.init(.resourceExhausted, operation: operation, message: error.description)
    case .tls, .invalidResponse, .other:
      self.init(.unknown, operation: operation, message: error.description)
    }
  }
}
