/// An image's name as Docker understands it: `busybox` is `docker.io/library/busybox:latest`.
struct DockerImageReference: Hashable, Sendable {
  static let defaultRegistry = "docker.io"

  /// `docker.io/library/busybox`.
  var repository: String
  var tag: String?
  /// `sha256:…`.
  var digest: String?

  /// nil for what can't be a name: nothing, an image id, Docker's `<none>`.
  init?(_ text: String) {
    guard !text.isEmpty, !text.hasPrefix("<none>"), Self.imageID(text) == nil else { return nil }
    var rest = text[...]
    if let at = rest.firstIndex(of: "@") {
      digest = String(rest[rest.index(after: at)...])
      rest = rest[..<at]
    }
    let lastSlash = rest.lastIndex(of: "/")
    if let colon = rest.lastIndex(of: ":"), lastSlash.map({ $0 < colon }) ?? true {
      tag = String(rest[rest.index(after: colon)...])
      rest = rest[..<colon]
    }
    guard !rest.isEmpty, tag?.isEmpty != true, digest?.isEmpty != true, tag != "<none>", digest != "<none>" else { return nil }
    repository = Self.qualified(String(rest))
    if tag == nil, digest == nil { tag = "latest" }
  }

  /// The first part is a registry when it looks like a host: with a dot or a port, or `localhost`.
  private static func qualified(_ path: String) -> String {
    let parts = path.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
    let first = String(parts[0])
    let hasRegistry =
      parts.count == 2 && (first.contains(".") || first.contains(":") || first == "localhost" || first.lowercased() != first)
    guard hasRegistry else { return "\(defaultRegistry)/\(path.contains("/") ? path : "library/\(path)")" }
    guard first == defaultRegistry || first == "index.docker.io" else { return path }
    return "\(defaultRegistry)/\(parts[1].contains("/") ? String(parts[1]) : "library/\(parts[1])")"
  }

  var text: String { repository + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "") }

  /// The 64 hex digits of an image id, which may stand with or without `sha256:`; nil for anything else.
  static func imageID(_ text: String) -> String? {
    let digits = text.hasPrefix("sha256:") ? text.dropFirst(7) : text[...]
    let isHex = digits.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    return digits.utf8.count == 64 && isHex ? String(digits) : nil
  }
}
