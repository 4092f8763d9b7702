/// Finds the logins that fit an image.
public struct RegistryKeyring: Sendable {
  private let logins: [String: [RegistryLogin]]
  /// Most specific first: `example.com/team` sorts before `example.com`.
  private let registries: [String]

  public init(_ credentials: [RegistryCredentials]) {
    var logins: [String: [RegistryLogin]] = [:]
    for entry in credentials.flatMap(\.entries) { logins[entry.registry, default: []].append(entry.login) }
    self.logins = logins
    self.registries = logins.keys.sorted(by: >)
  }

  /// The logins to try, in order; empty means that the image is pulled without any.
  public func logins(for image: ImageReference) -> [RegistryLogin] {
    let target = Location(image.name)
    let found = registries.filter { Location($0).covers(target) }.flatMap { logins[$0] ?? [] }
    if found.isEmpty, image.registry == "docker.io" { return logins["index.docker.io"] ?? [] }
    return found
  }
}

/// Host, port and path of a registry's entry or of an image.
private struct Location {
  let labels: [Substring]
  let port: Substring
  let path: Substring

  init(_ text: String) {
    let slash = text.firstIndex(of: "/") ?? text.endIndex
    let host = text[..<slash]
    path = text[slash...]
    if !host.hasPrefix("["), let colon = host.lastIndex(of: ":") {
      port = host[host.index(after: colon)...]
      labels = host[..<colon].split(separator: ".", omittingEmptySubsequences: false)
    } else {
      port = ""
      labels = host.split(separator: ".", omittingEmptySubsequences: false)
    }
  }

  /// Globs count within one label only: `*.example.com` covers `a.example.com`, neither `example.com` nor `a.b.example.com`.
  func covers(_ image: Location) -> Bool {
    guard port == image.port, labels.count == image.labels.count, image.path.hasPrefix(path) else { return false }
    return zip(labels, image.labels).allSatisfy { Glob.matches(Array($0.utf8)[...], Array($1.utf8)[...]) }
  }
}

/// Shell patterns with `*`, `?`, `[a-z]`, `[^a-z]` and `\` before a character that is meant literally.
private enum Glob {
  static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
    guard let token = pattern.first else { return text.isEmpty }
    switch token {
    case UInt8(ascii: "*"):
      let rest = pattern.dropFirst()
      return (text.startIndex...text.endIndex).contains { matches(rest, text[$0...]) }
    case UInt8(ascii: "?"):
      return !text.isEmpty && matches(pattern.dropFirst(), text.dropFirst())
    case UInt8(ascii: "["):
      guard let byte = text.first, let (isMember, rest) = set(pattern.dropFirst(), byte) else { return false }
      return isMember && matches(rest, text.dropFirst())
    case UInt8(ascii: "\\"):
      guard let literal = pattern.dropFirst().first else { return false }
      return text.first == literal && matches(pattern.dropFirst(2), text.dropFirst())
    default:
      return text.first == token && matches(pattern.dropFirst(), text.dropFirst())
    }
  }

  /// Whether the set at the start of the pattern has that byte, and the pattern after it; nil if the set never ends.
  private static func set(_ pattern: ArraySlice<UInt8>, _ byte: UInt8) -> (isMember: Bool, rest: ArraySlice<UInt8>)? {
    var rest = pattern
    let isNegated = rest.first == UInt8(ascii: "^")
    if isNegated { rest = rest.dropFirst() }
    guard let end = rest.firstIndex(of: UInt8(ascii: "]")), end > rest.startIndex else { return nil }
    var members = rest[..<end]
    var isMember = false
    while let low = members.first {
      if members.count >= 3, members[members.startIndex + 1] == UInt8(ascii: "-") {
        isMember = isMember || (low <= byte && byte <= members[members.startIndex + 2])
        members = members.dropFirst(3)
      } else {
        isMember = isMember || low == byte
        members = members.dropFirst()
      }
    }
    return (isMember != isNegated, rest[(end + 1)...])
  }
}
