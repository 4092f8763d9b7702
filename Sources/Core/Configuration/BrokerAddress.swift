/// Why a text is no broker's URL.
public struct BrokerAddressError: Error, Sendable, Hashable, CustomStringConvertible {
  public var description: String
}

/// The URL of an MQTT broker: `tcp://127.0.0.1:1883`.
public struct BrokerAddress: Sendable, Hashable, CustomStringConvertible {
  public var scheme: String
  /// A name or an IP address, without brackets; empty for a Unix socket.
  public var host = ""
  public var port = 0
  /// Of a Unix socket; empty otherwise.
  public var path = ""

  private static let plain = ["tcp", "mqtt"]
  private static let secured = ["ssl", "tls", "tcps", "mqtts"]

  public var usesTLS: Bool { Self.secured.contains(scheme) }

  /// - Throws: `BrokerAddressError`.
  public init(_ text: String) throws(BrokerAddressError) {
    func problem(_ reason: String) -> BrokerAddressError {
      BrokerAddressError(description: "\"\(text.contains("@") ? "…" : text)\" is no broker's URL, e.g. tcp://127.0.0.1:1883: \(reason)")
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[1].hasPrefix("//") else { throw problem("it has no scheme") }
    scheme = parts[0].lowercased()
    var rest = parts[1].dropFirst(2)
    if scheme == "unix" {
      path = String(rest)
      guard path.hasPrefix("/"), path.utf8.count <= 107 else { throw problem("a socket needs an absolute path of at most 107 bytes") }
      return
    }
    if scheme == "ws" || scheme == "wss" { throw problem("websockets are not supported") }
    guard Self.plain.contains(scheme) || usesTLS else {
      throw problem("the scheme is not allowed; allowed: \((Self.plain + Self.secured).joined(separator: ", ")), unix")
    }
    if rest.last == "/" { rest.removeLast() }
    guard !rest.contains("/"), !rest.contains("@"), !rest.contains(" ") else {
      throw problem("it may only have a host and a port; user and password are keys of their own")
    }
    port = usesTLS ? 8883 : 1883
    let hostEnd = rest.first == "[" ? rest.firstIndex(of: "]").map { rest.index(after: $0) } : rest.lastIndex(of: ":") ?? rest.endIndex
    guard let hostEnd else { throw problem("a bracket is missing") }
    var name = rest[..<hostEnd]
    let tail = rest[hostEnd...]
    if !tail.isEmpty {
      guard tail.first == ":", let number = UInt16(tail.dropFirst()), number > 0 else {
        throw problem("the port is no number from 1 to 65535")
      }
      port = Int(number)
    }
    if name.first == "[" { name = name.dropFirst().dropLast() }
    guard !name.isEmpty, rest.first == "[" || !name.contains(":") else { throw problem("the host is missing") }
    host = String(name)
  }

  public var description: String {
    if scheme == "unix" { return "unix://\(path)" }
    return "\(scheme)://\(host.contains(":") ? "[\(host)]" : host):\(port)"
  }
}
