extension HTTPRequest {
  var label: RequestLabel { RequestLabel(method: method, url: url, unixSocketPath: unixSocketPath) }

  /// Throws for what would let a caller's data end a line early or be cut at a zero byte.
  func validate() throws {
    func isPlain(_ text: String, allowsSpace: Bool) -> Bool {
      text.utf8.allSatisfy { ($0 > 0x20 && $0 != 0x7F) || (allowsSpace && ($0 == 0x20 || $0 == 0x09)) }
    }
    guard !method.isEmpty, isPlain(method, allowsSpace: false) else { throw label.error(.invalidRequest, "the method is not a token") }
    guard isPlain(url, allowsSpace: false) else { throw label.error(.invalidRequest, "the URL has spaces or control characters") }
    let scheme = URLParts(url).scheme
    guard scheme == "http" || scheme == "https" else {
      throw label.error(.invalidRequest, "the URL's scheme is \"\(scheme)\", http and https are possible")
    }
    for field in headers {
      guard !field.name.isEmpty, isPlain(field.name, allowsSpace: false), !field.name.utf8.contains(UInt8(ascii: ":")) else {
        throw label.error(.invalidRequest, "a header's name is not a token")
      }
      guard isPlain(field.value, allowsSpace: true) else {
        throw label.error(.invalidRequest, "the header \(field.name) has control characters")
      }
    }
    if let path = unixSocketPath {
      // sun_path with its zero byte.
      guard !path.isEmpty, path.utf8.count < 108, !path.utf8.contains(0) else {
        throw label.error(.invalidRequest, "a Unix socket's path has 1 to 107 bytes")
      }
    }
  }
}
