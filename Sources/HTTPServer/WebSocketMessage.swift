/// A message of a WebSocket.
public struct WebSocketMessage: Sendable, Hashable {
  public var isText: Bool
  public var bytes: [UInt8]

  public init(isText: Bool, bytes: [UInt8]) {
    self.isText = isText
    self.bytes = bytes
  }
}
