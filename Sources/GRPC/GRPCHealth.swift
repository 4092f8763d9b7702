extension GRPCChannel {
  /// What a server says of itself or of one of its services (`grpc.health.v1.Health`).
  public enum ServingStatus: Int, Sendable, Hashable {
    case unknown = 0
    case serving, notServing, serviceUnknown
  }

  /// Asks `grpc.health.v1.Health/Check`.
  /// - Parameter service: Empty: the server as a whole.
  /// - Throws: `GRPCError`; `.unimplemented` when the server has no such service, `.notFound` when it doesn't know `service`.
  public func health(service: String = "", timeout: Duration) async throws -> ServingStatus {
    let reply = try await unary("grpc.health.v1.Health", "Check", Self.healthRequest(service), timeout: timeout)
    return Self.healthStatus(reply)
  }

  /// HealthCheckRequest: field 1 is the service's name. An empty one is left out.
  static func healthRequest(_ service: String) -> [UInt8] {
    guard !service.isEmpty else { return [] }
    var message: [UInt8] = [0x0a]
    var length = service.utf8.count
    while length >= 0x80 {
      message.append(UInt8(truncatingIfNeeded: length) | 0x80)
      length >>= 7
    }
    message.append(UInt8(length))
    message.append(contentsOf: service.utf8)
    return message
  }

  /// HealthCheckResponse: field 1 is the status, a number below 128. It is the message's only field.
  static func healthStatus(_ message: [UInt8]) -> ServingStatus {
    guard message.count >= 2, message[0] == 0x08 else { return .unknown }
    return ServingStatus(rawValue: Int(message[1])) ?? .unknown
  }
}
