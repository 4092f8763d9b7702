import Curl
import KubernetesAPI

/// `grpc`: asks `grpc.health.v1.Health/Check` in clear text; `SERVING` is the only success.
struct GRPCProber: Sendable {
  let client: HTTPClient

  func attempt(host: String, port: Int, service: String, limit: Duration) async -> ProbeOutcome {
    let authority = "\(HTTPTarget.bracketed(host)):\(port)"
    var request = HTTPRequest("POST", "http://\(authority)/grpc.health.v1.Health/Check", version: .http2PriorKnowledge)
    request.headers = [
      HTTPField("Content-Type", "application/grpc"), HTTPField("TE", "trailers"), HTTPField("User-Agent", ProbeExecutor.userAgent),
    ]
    request.body = .bytes(HealthCheck.request(service: service))
    request.isolatesConnection = true
    request.timeout = limit
    request.connectTimeout = limit
    do {
      return try await withTimeLimit(limit) { [client, request] in Self.judge(try await Self.call(request, client)) }
    } catch let error as TimeLimitExceeded {
      return .failure("timeout: health rpc at \(authority) did not complete within \(error.limit.formattedSeconds)")
    } catch {
      return .failure("error: health rpc at \(authority) failed: \(error)")
    }
  }

  private struct Reply {
    var httpStatus: Int
    var code: String?
    var message: String
    var body: [UInt8]
  }

  private static func call(_ request: HTTPRequest, _ client: HTTPClient) async throws -> Reply {
    let response = try await client.execute(request)
    let body = try await response.body.collect(upTo: ProbeOutcome.outputLimit)
    // A call that fails at once has its status among the headers.
    let fields = response.headers + response.body.trailers
    return Reply(
      httpStatus: response.status, code: fields.first(named: "grpc-status"), message: fields.first(named: "grpc-message") ?? "",
      body: body)
  }

  private static func judge(_ reply: Reply) -> ProbeOutcome {
    guard reply.httpStatus == 200 else { return .failure("error: health rpc failed: HTTP status \(reply.httpStatus)") }
    switch reply.code {
    case "0": break
    case "12":
      return .failure("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): \(reply.message)")
    case "4": return .failure("timeout: health rpc did not complete in time: \(reply.message)")
    case let code: return .failure("error: health rpc failed: grpc status \(code ?? "missing"): \(reply.message)")
    }
    guard let status = HealthCheck.status(inResponse: reply.body) else {
      return .failure("error: health rpc failed: the answer of \(reply.body.count) bytes is no HealthCheckResponse")
    }
    guard status == HealthCheck.serving else {
      return .failure("service unhealthy (responded with \"\(HealthCheck.name(ofStatus: status))\")")
    }
    return .success("service healthy")
  }
}

/// The two messages of `grpc.health.v1.Health/Check`, as gRPC frames: a zero byte, the length in 4 bytes, protobuf.
enum HealthCheck {
  static let serving: UInt64 = 1

  /// `HealthCheckRequest { string service = 1; }`
  static func request(service: String) -> [UInt8] {
    var message: [UInt8] = []
    if !service.isEmpty { message = [0x0A] + varint(UInt64(service.utf8.count)) + Array(service.utf8) }
    let length = UInt32(clamping: message.count)
    return [0] + (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * $0)) } + message
  }

  /// The status in `HealthCheckResponse { ServingStatus status = 1; }`; nil if the bytes are no such message.
  static func status(inResponse frame: [UInt8]) -> UInt64? {
    guard frame.count >= 5, frame[0] == 0 else { return nil }
    let length = frame[1..<5].reduce(0) { $0 << 8 | Int($1) }
    guard frame.count >= 5 + length else { return nil }
    var rest = frame[5..<5 + length]
    var status: UInt64 = 0
    while !rest.isEmpty {
      guard let tag = readVarint(&rest) else { return nil }
      switch tag & 7 {
      case 0:
        guard let value = readVarint(&rest) else { return nil }
        if tag >> 3 == 1 { status = value }
      case 1, 5:
        let width = tag & 7 == 1 ? 8 : 4
        guard rest.count >= width else { return nil }
        rest = rest.dropFirst(width)
      case 2:
        guard let count = readVarint(&rest), count <= rest.count else { return nil }
        rest = rest.dropFirst(Int(count))
      default: return nil
      }
    }
    return status
  }

  static func name(ofStatus status: UInt64) -> String {
    switch status {
    case 0: "UNKNOWN"
    case 1: "SERVING"
    case 2: "NOT_SERVING"
    case 3: "SERVICE_UNKNOWN"
    default: String(status)
    }
  }

  private static func varint(_ value: UInt64) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }

  private static func readVarint(_ bytes: inout ArraySlice<UInt8>) -> UInt64? {
    var value: UInt64 = 0
    for shift in stride(from: 0, to: 64, by: 7) {
      guard let byte = bytes.popFirst() else { return nil }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    return nil
  }
}
