/// What a resolv.conf file says.
struct ResolverConfig: Sendable, Hashable {
  var servers: [String] = []
  var searches: [String] = []
  var options: [String] = []

  init(servers: [String] = [], searches: [String] = [], options: [String] = []) {
    self.servers = servers
    self.searches = searches
    self.options = options
  }

  init(parsing text: String) {
    for line in text.split(separator: "\n") {
      let fields = line.split(whereSeparator: \.isWhitespace).map(String.init)
      guard let keyword = fields.first, !keyword.hasPrefix("#"), !keyword.hasPrefix(";") else { continue }
      switch keyword {
      case "nameserver": servers += fields.dropFirst().prefix(1)
      // The last line counts. The same domain with and without a dot at its end is one.
      case "search": searches = fields.dropFirst().map { $0 != "." && $0.hasSuffix(".") ? String($0.dropLast()) : $0 }
      case "options": options = Self.merge(options, Array(fields.dropFirst()))
      default: break
      }
    }
  }

  /// Options by name, `ndots:5` is `ndots`; the later value wins.
  static func merge(_ options: [String], _ more: [String]) -> [String] {
    var merged = options
    for option in more {
      if let index = merged.firstIndex(where: { name($0) == name(option) }) { merged[index] = option } else { merged.append(option) }
    }
    return merged
  }

  private static func name(_ option: String) -> Substring { option.prefix { $0 != ":" } }
}
