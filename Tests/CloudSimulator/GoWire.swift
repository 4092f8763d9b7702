import Core
import NIOCore
import NIOWebSocket
import YAML

/// How cloudcore puts messages on the wire: Go's JSON encoder on top of its usual websocket library.
enum GoWire {
  /// What fits into one frame: a buffer of 4 KiB less the room for the longest header of a frame.
  static let bufferSize = 4096
  static let pieceSize = bufferSize - 14

  /// The message's JSON as Go's encoder writes it: characters that mean something in HTML are escaped, and a line feed ends it.
  static func encode(_ message: Message) -> [UInt8] {
    let plain = message.wire
    var bytes: [UInt8] = []
    bytes.reserveCapacity(plain.count + 16)
    for byte in plain {
      switch byte {
      case 0x3C: bytes.append(contentsOf: #"\u003c"#.utf8)
      case 0x3E: bytes.append(contentsOf: #"\u003e"#.utf8)
      case 0x26: bytes.append(contentsOf: #"\u0026"#.utf8)
      default: bytes.append(byte)
      }
    }
    bytes.append(0x0A)
    return bytes
  }

  /// The frames of a text. Up to twice the buffer it is cut into pieces; what is larger goes as one frame that says it isn't the last,
  /// followed by an empty last one.
  static func frames(_ text: ByteBuffer) -> [WebSocketFrame] {
    var rest = text
    if rest.readableBytes > 2 * bufferSize {
      return [
        WebSocketFrame(fin: false, opcode: .text, data: rest), WebSocketFrame(fin: true, opcode: .continuation, data: ByteBuffer()),
      ]
    }
    var frames: [WebSocketFrame] = []
    while true {
      let piece = rest.readSlice(length: min(pieceSize, rest.readableBytes)) ?? ByteBuffer()
      let isLast = rest.readableBytes == 0
      frames.append(WebSocketFrame(fin: isLast, opcode: frames.isEmpty ? .text : .continuation, data: piece))
      if isLast { return frames }
    }
  }

  /// Reads a message as strictly as Go does: a member of the envelope that has another type than it should have is an error.
  static func decode(_ text: [UInt8]) throws -> Message {
    let value = try JSONValue(json: text)
    guard value.object != nil else { throw CloudSimulatorError("not a JSON object") }
    func check(_ part: String, strings: [String]) throws {
      guard let part = value[part], part != .null else { return }
      guard let members = part.object else { throw CloudSimulatorError("header or route is no object") }
      for member in members where member.value != .null {
        let key = member.key.lowercased()
        if strings.contains(key), member.value.string == nil { throw CloudSimulatorError("\(key) is no string") }
        if key == "timestamp", member.value.int == nil { throw CloudSimulatorError("timestamp is no integer") }
        if key == "sync", member.value.bool == nil { throw CloudSimulatorError("sync is no bool") }
      }
    }
    try check("header", strings: ["msg_id", "parent_msg_id", "resourceversion", "type"])
    try check("route", strings: ["source", "destination", "group", "operation", "resource"])
    return try Message(wire: text)
  }
}
