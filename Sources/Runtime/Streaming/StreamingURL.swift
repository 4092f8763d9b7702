/// Where the engine serves a remote command: `http://127.0.0.1:40123/exec/token`.
struct StreamingURL: Equatable {
  var host: String
  var port: Int
  var path: String
  /// Host and port as the `Host` field has them.
  var authority: String

  /// nil for anything but a plain HTTP URL: engines serve this on the loopback interface.
  init?(_ text: String) {
    let scheme = "http://"
    guard text.hasPrefix(scheme) else { return nil }
    let rest = text.dropFirst(scheme.count)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    authority = String(rest[..<slash])
    path = slash == rest.endIndex ? "/" : String(rest[slash...])
    // The path holds a token and goes into a request line.
    guard !path.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f }) else { return nil }
    let colon = authority.lastIndex(of: ":")
    let isPortMissing = colon.map { authority[$0...].contains("]") } ?? true
    if let colon, !isPortMissing {
      guard let number = UInt16(authority[authority.index(after: colon)...]) else { return nil }
      port = Int(number)
      host = String(authority[..<colon])
    } else {
      port = 80
      host = authority
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard !host.isEmpty else { return nil }
  }
}
