import NIOCore

/// Where the websocket is served: `host:port` or `[::1]:port`.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
  public let host: String
  public let port: Int

  /// - Parameter standardPort: taken if the text names none.
  public init(_ text: String, standardPort: Int) {
    let isBareHost = text.hasSuffix("]") || !text.contains(":")
    let colon = isBareHost ? nil : text.lastIndex(of: ":")
    let host = colon.map { text[..<$0] } ?? text[...]
    port = colon.flatMap { Int(text[text.index(after: $0)...]) } ?? standardPort
    self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
  }

  /// For TLS: names are looked for in a certificate by name, addresses by what the connection goes to.
  var name: String? { (try? SocketAddress(ipAddress: host, port: port)) == nil ? host : nil }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
