import YAML

/// What the cloud wants to be asked of the node's own API.
///
/// Scheme and host in the cloud's words are ignored: only the node's own API is ever spoken to.
struct StreamRequest: Sendable {
  /// Why a request is not carried out.
  struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String
  }

  struct Header: Sendable, Hashable {
    var name: String
    var value: String
  }

  let method: String
  /// Path and query.
  let target: String
  let headers: [Header]

  /// - Parameter json: as Go writes it: `{"url":{"Path":…,"RawPath":…,"RawQuery":…},"header":{…: […]},"method":…}`. What is missing has
  ///   its zero value, what is unknown is ignored.
  init(json: ArraySlice<UInt8>) throws(Refusal) {
    guard let value = try? JSONValue(json: Array(json)), value.object != nil else {
      throw Refusal(description: "the request is not a JSON object")
    }
    method = try Self.text(value, "method", or: "GET")
    guard method == "GET" || method == "POST" else { throw Refusal(description: "the method is not allowed; allowed: GET, POST") }
    target = try Self.target(value["url"] ?? .null)
    headers = try Self.headers(value["header"] ?? .null)
  }

  /// The text of a member; `standard` if it is missing, null or empty.
  private static func text(_ value: JSONValue, _ key: String, or standard: String = "") throws(Refusal) -> String {
    guard let member = value[key], member != .null else { return standard }
    guard let text = member.string else { throw Refusal(description: "\(key) is not a string") }
    return text.isEmpty ? standard : text
  }

  // MARK: Path and query

  private static func target(_ url: JSONValue) throws(Refusal) -> String {
    guard url == .null || url.object != nil else { throw Refusal(description: "url is not an object") }
    let path = try text(url, "Path")
    let rawPath = try text(url, "RawPath")
    let query = try text(url, "RawQuery")
    // A raw path counts if it says the same as the path.
    let isRawUsable = !rawPath.isEmpty && rawPath.utf8.allSatisfy(isAllowedInRawPath) && unescaped(rawPath) == Array(path.utf8)
    var target = isRawUsable ? rawPath : escaped(path)
    if !target.hasPrefix("/") { target = "/" + target }
    guard query.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != hash }) else {
      throw Refusal(description: "the query has characters that no query may have")
    }
    return query.isEmpty ? target : target + "?" + query
  }

  private static let hash = UInt8(ascii: "#")
  private static let percent = UInt8(ascii: "%")
  private static let plainInPath = Set("-_.~$&+,/:;=@".utf8)
  private static let plainInRawPath = plainInPath.union("!'()*[]%".utf8)

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
  }

  private static func isAllowedInRawPath(_ byte: UInt8) -> Bool { isAlphanumeric(byte) || plainInRawPath.contains(byte) }

  private static func escaped(_ path: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in path.utf8 {
      if isAlphanumeric(byte) || plainInPath.contains(byte) {
        bytes.append(byte)
      } else {
        bytes += [percent, digits[Int(byte >> 4)], digits[Int(byte & 0xF)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func unescaped(_ path: String) -> [UInt8]? {
    var bytes: [UInt8] = []
    var rest = Array(path.utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == percent else {
        bytes.append(byte)
        continue
      }
      let digits = rest.prefix(2)
      guard digits.count == 2, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
        let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16)
      else { return nil }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return bytes
  }

  // MARK: Headers

  private static let tokenMarks = Set("!#$%&'*+-.^_`|~".utf8)

  private static func headers(_ value: JSONValue) throws(Refusal) -> [Header] {
    if value == .null { return [] }
    guard let members = value.object else { throw Refusal(description: "header is not an object") }
    var headers: [Header] = []
    for member in members {
      guard !member.key.isEmpty, member.key.utf8.allSatisfy({ isAlphanumeric($0) || tokenMarks.contains($0) }) else {
        throw Refusal(description: "the name of a header has characters that no name may have")
      }
      let values: [JSONValue]
      switch member.value {
      case .null: values = []
      case .array(let array): values = array
      default: values = [member.value]
      }
      for value in values {
        guard let text = value.string else { throw Refusal(description: "the header \(member.key) is not a list of strings") }
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
          throw Refusal(description: "the header \(member.key) has characters that no header may have")
        }
        headers.append(Header(name: member.key, value: text))
      }
    }
    return headers
  }

  /// Whether a header says where a request goes, or which page in a browser it is from. The API server has let the client in already; to the
  /// node it comes from this host, on which no page may look into pods.
  private static func isOfAnotherHop(_ header: Header) -> Bool {
    let name = header.name.lowercased()
    return name == "host" || name == "origin" || name.hasPrefix("sec-fetch-")
  }

  /// The request as it was meant, for a connection that is then used as the two sides like.
  func head(host: String) -> [UInt8] {
    var text = "\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\n"
    for header in headers where !Self.isOfAnotherHop(header) { text += "\(header.name): \(header.value)\r\n" }
    return Array((text + "\r\n").utf8)
  }

  /// Headers that are about one connection, or about a body, which a GET has none of.
  private static let ofConnection: Set<String> = [
    "connection", "proxy-connection", "keep-alive", "transfer-encoding", "content-length", "te", "trailer", "upgrade", "expect",
    "accept-encoding",
  ]

  /// The headers for a GET whose answer's body is all that gets back. So the body must not be one that only the answer's headers explain.
  func headersOfGet(host: String) -> [(String, String)] {
    [("Host", host)]
      + headers.filter { !Self.ofConnection.contains($0.name.lowercased()) && !Self.isOfAnotherHop($0) }.map { ($0.name, $0.value) }
      + [("accept-encoding", "identity"), ("Connection", "close")]
  }
}
