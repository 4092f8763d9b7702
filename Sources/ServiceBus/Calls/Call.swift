import Core
import Curl
import YAML

/// A request of a client of the cloud to an application on this node.
struct Call: Sendable {
  var method: String
  var url: String
  var headers: [HTTPField]
  var body: [UInt8]

  /// Reads a message of the cloud: the resource `<port>:<path>`, and in the content method, header and body.
  ///
  /// - Throws: what is answered if it can't be understood.
  init(_ message: Message) throws(CallAnswer) {
    guard let url = Self.url(message.resource) else {
      throw .failure(400, "the format of resource \(message.resource) is incorrect")
    }
    self.url = url
    method = ""
    headers = []
    body = []
    do {
      try read(message.payload)
    } catch {
      throw .failure(400, "error to parse http request")
    }
    // In 2019 the method was the operation alone.
    if method.isEmpty { method = Self.isMethod(message.operation.rawValue) ? message.operation.rawValue : "GET" }
    let own = ConnectionHeaders(headers)
    headers.removeAll { own.contains($0.name) || ["host", "expect"].contains($0.name.lowercased()) }
    if headers.first(named: "Accept") == nil { headers.append(HTTPField("Accept", "*/*")) }
  }

  /// `8080:/path?query`, and nothing that leads elsewhere than to that port of this node's loopback.
  static func url(_ resource: String) -> String? {
    guard let colon = resource.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
    let digits = resource[..<colon].utf8
    guard (1...5).contains(digits.count), digits.allSatisfy({ (0x30...0x39).contains($0) }), let port = UInt16(resource[..<colon]), port > 0
    else { return nil }
    var path: [UInt8] = []
    for byte in resource[resource.index(after: colon)...].utf8 {
      guard byte > 0x20, byte != 0x7F, byte != UInt8(ascii: "\\") else { return nil }
      // What isn't ASCII stands in a request's line in its escaped form.
      if byte < 0x80 { path.append(byte) } else { path += Self.escaped(byte) }
    }
    let text = String(decoding: path, as: UTF8.self)
    return "http://127.0.0.1:\(port)\(text.hasPrefix("/") ? "" : "/")\(text)"
  }

  private static func escaped(_ byte: UInt8) -> [UInt8] {
    let digits = Array("0123456789ABCDEF".utf8)
    return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
  }

  private static func isMethod(_ text: String) -> Bool { !text.isEmpty && text.utf8.allSatisfy { (0x41...0x5A).contains($0) } }

  private struct NotUnderstood: Error {}

  private mutating func read(_ content: [UInt8]) throws {
    if content == Message.noContent { return }
    for (key, range) in try JSONScan.members(of: content) {
      let bytes = content[range]
      switch key.lowercased() {
      case "method": method = try Self.text(bytes)
      case "header": headers = try Self.headers(bytes)
      case "body": body = try Self.body(bytes)
      default: break
      }
    }
  }

  private static func text(_ bytes: ArraySlice<UInt8>) throws -> String {
    let value = try JSONValue(json: Array(bytes))
    if value == .null { return "" }
    guard let text = value.string else { throw NotUnderstood() }
    return text
  }

  private static func headers(_ bytes: ArraySlice<UInt8>) throws -> [HTTPField] {
    let value = try JSONValue(json: Array(bytes))
    if value == .null { return [] }
    guard let members = value.object else { throw NotUnderstood() }
    return try members.flatMap { member -> [HTTPField] in
      switch member.value {
      case .null: return []
      case .string(let text): return [HTTPField(member.key, text)]
      case .array(let values):
        return try values.map { value in
          guard let text = value.string else { throw NotUnderstood() }
          return HTTPField(member.key, text)
        }
      default: throw NotUnderstood()
      }
    }
  }

  private static func body(_ bytes: ArraySlice<UInt8>) throws -> [UInt8] {
    guard bytes.first == UInt8(ascii: "\""), !bytes.contains(UInt8(ascii: "\\")) else {
      guard let body = Base64.decode(try text(bytes).utf8) else { throw NotUnderstood() }
      return body
    }
    guard let body = Base64.decode(bytes.dropFirst().dropLast()) else { throw NotUnderstood() }
    return body
  }
}
