/// An absolute URL taken apart, without decoding anything.
struct URLParts {
  /// Lowercased.
  var scheme: String
  /// Host with port as written, without user and password.
  var authority: String
  var path: String
  /// With its question mark, or empty.
  var query: String

  init(_ url: String) {
    let utf8 = url.utf8
    var rest = utf8[...]
    if let fragment = rest.firstIndex(of: UInt8(ascii: "#")) { rest = rest[..<fragment] }
    scheme = ""
    if let colon = rest.firstIndex(of: UInt8(ascii: ":")), rest[colon...].starts(with: "://".utf8) {
      scheme = String(decoding: rest[..<colon], as: UTF8.self).lowercased()
      rest = rest[rest.index(colon, offsetBy: 3)...]
    }
    let authorityEnd = rest.firstIndex { $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: "?") } ?? rest.endIndex
    var host = rest[..<authorityEnd]
    if let at = host.lastIndex(of: UInt8(ascii: "@")) { host = host[host.index(after: at)...] }
    authority = String(decoding: host, as: UTF8.self)
    rest = rest[authorityEnd...]
    let queryStart = rest.firstIndex(of: UInt8(ascii: "?")) ?? rest.endIndex
    path = String(decoding: rest[..<queryStart], as: UTF8.self)
    query = String(decoding: rest[queryStart...], as: UTF8.self)
  }

  /// What may stand in a log.
  var redacted: String { "\(scheme)://\(authority)\(path)" }

  /// What stands in a request line.
  var target: String { (path.isEmpty ? "/" : path) + query }
}
