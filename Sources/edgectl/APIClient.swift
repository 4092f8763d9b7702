import Curl
import YAML

/// Requests to the agent's local socket.
struct APIClient: Sendable {
  var socketPath: String
  private let http = HTTPClient()

  init(socketPath: String) { self.socketPath = socketPath }

  /// The JSON that the agent answers to a GET.
  func get(_ path: String) async throws -> JSONValue {
    let response = try await open(path)
    let bytes = try await response.body.collect(upTo: 256 << 20)
    return try JSONValue(json: bytes)
  }

  func get<T: Decodable>(_ path: String, as type: T.Type) async throws -> T { try await get(path).decode(T.self) }

  /// The JSON that the agent answers to a POST. A refusal's `reason` becomes the error.
  func post(_ path: String, _ body: JSONValue) async throws -> JSONValue {
    let response = try await open(path, "POST", .bytes(body.jsonBytes()))
    return try JSONValue(json: try await response.body.collect(upTo: 64 << 20))
  }

  /// A response whose body streams.
  func open(_ path: String, _ method: String = "GET", _ body: HTTPRequestBody = .none) async throws -> HTTPResponse {
    let response: HTTPResponse
    do {
      response = try await http.execute(HTTPRequest(method, "http://edgecore" + path, body: body, unixSocketPath: socketPath))
    } catch {
      throw CommandFailure("can't reach the agent at \(socketPath): \(error). Is edgecore running, and are you root?")
    }
    guard response.status == 200 else {
      let text = String(decoding: (try? await response.body.collect(upTo: 64 << 10)) ?? [], as: UTF8.self)
      if let reason = (try? JSONValue(json: text))?["reason"]?.string { throw CommandFailure(reason) }
      throw CommandFailure(text.trimmed.isEmpty ? "the agent answered \(response.status)" : text.trimmed)
    }
    return response
  }

  /// Calls `body` with each line of a streamed answer.
  func lines(_ path: String, _ body: (String) throws -> Void) async throws {
    var rest: [UInt8] = []
    for try await chunk in try await open(path).body {
      rest += chunk
      while let end = rest.firstIndex(of: 0x0A) {
        try body(String(decoding: rest[..<end], as: UTF8.self))
        rest.removeFirst(end + 1)
      }
    }
  }

  /// A connection that speaks frames.
  func upgrade(_ path: String) async throws -> (RawConnection, [UInt8]) {
    var request = HTTPRequest("GET", "http://edgecore" + path, unixSocketPath: socketPath)
    request.headers = [HTTPField("Upgrade", "edgecore-stream")]
    let upgraded = try await http.upgrade(request)
    return (upgraded.connection, [])
  }
}

/// A command that can't do what was asked; printed as it is.
struct CommandFailure: Error, CustomStringConvertible {
  var description: String
  init(_ description: String) { self.description = description }
}

extension String {
  var trimmed: String {
    var text = Substring(self)
    while text.last?.isWhitespace == true { text.removeLast() }
    while text.first?.isWhitespace == true { text.removeFirst() }
    return String(text)
  }
}

/// Escapes a query value.
func queryEscaped(_ text: String) -> String {
  var escaped = ""
  for byte in text.utf8 {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: escaped.append(Character(UnicodeScalar(byte)))
    default:
      let hex = String(byte, radix: 16, uppercase: true)
      escaped += "%" + (hex.count == 1 ? "0" : "") + hex
    }
  }
  return escaped
}
