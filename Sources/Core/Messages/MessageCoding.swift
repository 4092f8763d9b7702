import YAML

/// Why bytes are no message.
public struct MessageError: Error, Sendable, Hashable, CustomStringConvertible {
  public var problem: String
  public var description: String { "no message: \(problem)" }
}

extension Message {
  /// Reads a message from its JSON on the wire. Keys are matched ignoring case, unknown ones are skipped; the content is kept byte by byte.
  ///
  /// - Throws: `MessageError`.
  public init(wire bytes: [UInt8]) throws(MessageError) {
    var header = Header(id: "", timestamp: 0)
    var route = Route(source: "", operation: "", resource: "")
    var content = Self.noContent
    do throws(JSONSyntaxError) {
      for (key, range) in try JSONScan.members(of: bytes) {
        switch key.lowercased() {
        case "header":
          let value = try JSONValue(json: Array(bytes[range]))
          for member in value.object ?? [] {
            switch member.key.lowercased() {
            case "msg_id": header.id = member.value.string ?? ""
            case "parent_msg_id": header.parentID = member.value.string ?? ""
            case "timestamp": header.timestamp = member.value.int ?? 0
            case "resourceversion": header.resourceVersion = member.value.string ?? ""
            case "sync": header.sync = member.value.bool ?? false
            default: break
            }
          }
        case "route":
          let value = try JSONValue(json: Array(bytes[range]))
          for member in value.object ?? [] {
            guard let text = member.value.string else { continue }
            switch member.key.lowercased() {
            case "source": route.source = text
            case "group": route.group = text
            case "operation": route.operation = Operation(text)
            case "resource": route.resource = text
            default: break
            }
          }
        case "content": content = Array(bytes[range])
        default: break
        }
      }
    } catch {
      throw MessageError(problem: error.description)
    }
    guard !header.id.isEmpty else { throw MessageError(problem: "header.msg_id is missing") }
    self.init(header: header, route: route, content: content)
  }

  /// The message's JSON for the wire; empty members are left out, the content is embedded as it is.
  public var wire: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256 + content.count)
    bytes.append(contentsOf: #"{"header":{"msg_id":"#.utf8)
    bytes.append(json: header.id)
    if !header.parentID.isEmpty { bytes.append(member: #","parent_msg_id":"#, header.parentID) }
    bytes.append(contentsOf: #","timestamp":\#(header.timestamp)"#.utf8)
    if !header.resourceVersion.isEmpty { bytes.append(member: #","resourceversion":"#, header.resourceVersion) }
    if header.sync { bytes.append(contentsOf: #","sync":true"#.utf8) }
    bytes.append(contentsOf: #"},"route":{"#.utf8)
    var separator = ""
    for (key, value) in [
      ("source", route.source), ("group", route.group), ("operation", route.operation.rawValue), ("resource", route.resource),
    ] where !value.isEmpty {
      bytes.append(member: "\(separator)\"\(key)\":", value)
      separator = ","
    }
    bytes.append(contentsOf: #"},"content":"#.utf8)
    bytes.append(contentsOf: content.isEmpty ? Self.noContent : content)
    bytes.append(0x7D)
    return bytes
  }

  /// The payload as a reader takes it: the text of a JSON string, anything else as its JSON.
  public var payload: [UInt8] {
    guard content.first(where: { !JSONScan.isSpace($0) }) == 0x22, let text = try? JSONValue(json: content).string else { return content }
    return Array(text.utf8)
  }

  /// The payload as a `T`; a string that holds JSON counts as that JSON.
  ///
  /// - Throws: `JSONSyntaxError`, `DecodingFailure`.
  public func decodeContent<T: Decodable>(_ type: T.Type = T.self) throws -> T {
    try JSONValue(json: payload).decode(type)
  }
}

extension [UInt8] {
  fileprivate mutating func append(json text: String) { append(contentsOf: JSONValue.string(text).jsonBytes()) }

  fileprivate mutating func append(member key: String, _ value: String) {
    append(contentsOf: key.utf8)
    append(json: value)
  }
}
