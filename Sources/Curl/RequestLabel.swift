/// What an error says about the request that it belongs to.
struct RequestLabel: Sendable {
  var method: String
  /// As the caller gave it: only `error` may take from it what people may see.
  var url: String
  var unixSocketPath: String?

  func error(_ kind: HTTPError.Kind, _ message: String = "") -> HTTPError {
    HTTPError(kind: kind, method: method, url: URLParts(url).redacted, unixSocketPath: unixSocketPath, message: message)
  }
}
