/// What the cloud says about a URL: a rule for it began, or its last one ended.
enum TargetChange: Sendable, Hashable {
  case allow(String)
  case forbid(String)

  var url: String {
    switch self {
    case .allow(let url), .forbid(let url): url
    }
  }
}

/// The URLs that applications may ask the cloud for.
struct TargetSet: Sendable, Hashable {
  private(set) var urls: Set<String>

  init(_ urls: some Sequence<String> = []) { self.urls = Set(urls) }

  /// - Returns: whether it changed anything.
  @discardableResult
  mutating func apply(_ change: TargetChange) -> Bool {
    switch change {
    case .allow(let url): return urls.insert(url).inserted
    case .forbid(let url):
      if urls.remove(url) != nil { return true }
      // The cloud cleans URLs as if they were paths before it forbids them: http://host/path becomes http:/host/path.
      guard Self.cleaned(url) == url else { return false }
      let meant = urls.filter { Self.cleaned($0) == url }
      urls.subtract(meant)
      return !meant.isEmpty
    }
  }

  /// A URL without empty parts and `.` between its slashes, and with `..` taken away together with the part before it.
  static func cleaned(_ url: String) -> String {
    var parts: [Substring] = []
    for part in url.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return parts.joined(separator: "/")
  }
}
