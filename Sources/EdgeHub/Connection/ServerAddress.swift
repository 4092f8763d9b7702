import NIOCore

/// Where the websocket is served: `host:port` or `[::1]:port`.
struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
  static let standardPort = 10000

  let host: String
  let port: Int

  init(_ text: String) {
    let isBareHost = text.hasSuffix("]") || !text.contains(":")
    let colon = isBareHost ? nil : text.lastIndex(of: ":")
    let host = colon.map { text[..<$0] } ?? text[...]
    port = colon.flatMap { Int(text[text.index(after: $0)...]) } ?? Self.standardPort
    self.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : String(host)
  }

  /// For TLS: names are looked for in a certificate by name, addresses by what the connection goes to.
  var name: String? { (try? SocketAddress(ipAddress: host, port: port)) == nil ? host : nil }

  var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
