/// The name of an image, parsed by the rules of container registries: `[registry/]repository[:tag][@digest]`.
public struct ImageReference: Sendable, Hashable {
  /// Host and port of the registry; `docker.io` if the name has none.
  public let registry: String
  /// The path below the registry; `library/nginx` for Docker Hub's `nginx`.
  public let repository: String
  /// nil if the name has none.
  public let tag: String?
  /// `sha256:<hex>`; nil if the name has none.
  public let digest: String?
  /// The name as it was written, with `:latest` if it has neither tag nor digest: what an engine is asked for.
  public let spelled: String

  /// `docker.io/library/nginx`: registry and repository with all defaults filled in.
  public var name: String { "\(registry)/\(repository)" }

  /// The policy of a container that names none: `latest` is pulled at each start.
  public var defaultPullPolicyIsAlways: Bool { digest == nil && (tag == nil || tag == "latest") }

  public init(_ text: String) throws(InvalidImageName) {
    func invalid(_ problem: String = "invalid reference format") -> InvalidImageName { InvalidImageName(text: text, problem: problem) }

    var rest = text[...]
    var digest: String?
    if let at = rest.firstIndex(of: "@") {
      let written = String(rest[rest.index(after: at)...])
      guard ImageGrammar.isDigest(written) else { throw invalid() }
      digest = written
      rest = rest[..<at]
    }
    var tag: String?
    let lastPart = rest.lastIndex(of: "/").map { rest.index(after: $0) } ?? rest.startIndex
    if let colon = rest[lastPart...].firstIndex(of: ":") {
      let written = String(rest[rest.index(after: colon)...])
      guard ImageGrammar.isTag(written) else { throw invalid() }
      tag = written
      rest = rest[..<colon]
    }
    let (registry, repository) = Self.split(String(rest))
    guard repository == repository.lowercased() else {
      throw invalid("invalid reference format: repository name (\(repository)) must be lowercase")
    }
    guard ImageGrammar.isRegistry(registry), ImageGrammar.isRepository(repository) else { throw invalid() }
    guard registry.utf8.count + repository.utf8.count < 255 else {
      throw invalid("repository name must not be more than 255 characters")
    }
    if tag == nil, digest == nil, text.utf8.count == 64, text.utf8.allSatisfy(ImageGrammar.isHex) {
      throw invalid("invalid repository name (\(text)), cannot specify 64-byte hexadecimal strings")
    }
    self.registry = registry
    self.repository = repository
    self.tag = tag
    self.digest = digest
    self.spelled = tag == nil && digest == nil ? text + ":latest" : text
  }

  /// A first part is a registry only if it can't be a folder of Docker Hub.
  private static func split(_ name: String) -> (registry: String, repository: String) {
    var registry = "docker.io"
    var repository = name
    if let slash = name.firstIndex(of: "/") {
      let first = String(name[..<slash])
      if first == "localhost" || first.contains(".") || first.contains(":") || first != first.lowercased() {
        registry = first == "index.docker.io" ? "docker.io" : first
        repository = String(name[name.index(after: slash)...])
      }
    }
    if registry == "docker.io", !repository.contains("/"), !repository.isEmpty { repository = "library/" + repository }
    return (registry, repository)
  }
}

extension ImageReference: CustomStringConvertible {
  /// The whole name with defaults filled in: `docker.io/library/nginx:1.27`.
  public var description: String { name + (tag.map { ":" + $0 } ?? "") + (digest.map { "@" + $0 } ?? "") }
}

/// A text that names no image.
public struct InvalidImageName: Error, Sendable, Hashable, CustomStringConvertible {
  public let text: String
  public let problem: String

  public var description: String { "couldn't parse image name \"\(text)\": \(problem)" }
}

/// The character rules of image names.
private enum ImageGrammar {
  static func isHex(_ byte: UInt8) -> Bool { isDigit(byte) || (0x61...0x66).contains(byte) }
  static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
  static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
  static func isLetter(_ byte: UInt8) -> Bool { isLower(byte | 0x20) }
  static func isWord(_ byte: UInt8) -> Bool { isLetter(byte) || isDigit(byte) || byte == 0x5F }

  static func isTag(_ text: String) -> Bool {
    guard let first = text.utf8.first, isWord(first), text.utf8.count <= 128 else { return false }
    return text.utf8.allSatisfy { isWord($0) || $0 == 0x2E || $0 == 0x2D }
  }

  static func isDigest(_ text: String) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, let first = parts[0].utf8.first, isLetter(first) else { return false }
    let algorithm = parts[0]
    guard algorithm.utf8.allSatisfy({ isLetter($0) || isDigit($0) || "+._-".utf8.contains($0) }) else { return false }
    let lengths = ["sha256": 64, "sha384": 96, "sha512": 128]
    guard parts[1].utf8.allSatisfy(isHex) else { return false }
    if let length = lengths[String(algorithm)] { return parts[1].utf8.count == length }
    return parts[1].utf8.count >= 32
  }

  /// Host labels and an optional port, or an IPv6 address in brackets and an optional port.
  static func isRegistry(_ text: String) -> Bool {
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { return false }
      let address = text[text.index(after: text.startIndex)..<end]
      guard !address.isEmpty, address.utf8.allSatisfy({ isHex($0 | 0x20) || $0 == 0x3A }) else { return false }
      let after = text[text.index(after: end)...]
      return after.isEmpty || (after.hasPrefix(":") && isPort(after.dropFirst()))
    }
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    if parts.count == 2, !isPort(parts[1]) { return false }
    return parts[0].split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
      guard let first = label.utf8.first, let last = label.utf8.last else { return false }
      guard first != 0x2D, last != 0x2D else { return false }
      return label.utf8.allSatisfy { isLetter($0) || isDigit($0) || $0 == 0x2D }
    }
  }

  private static func isPort(_ text: Substring) -> Bool { !text.isEmpty && text.utf8.allSatisfy(isDigit) }

  static func isRepository(_ text: String) -> Bool {
    text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { isComponent(Array($0.utf8)) }
  }

  /// Lower-case letters and digits, separated by one dot, one or two underscores, or any number of dashes.
  private static func isComponent(_ bytes: [UInt8]) -> Bool {
    guard let first = bytes.first, let last = bytes.last else { return false }
    func isPlain(_ byte: UInt8) -> Bool { isLower(byte) || isDigit(byte) }
    guard isPlain(first), isPlain(last) else { return false }
    var separator: [UInt8] = []
    for byte in bytes {
      if isPlain(byte) {
        guard separator.isEmpty || [[0x2E], [0x5F], [0x5F, 0x5F]].contains(separator) || separator.allSatisfy({ $0 == 0x2D })
        else { return false }
        separator = []
      } else {
        guard byte == 0x2E || byte == 0x5F || byte == 0x2D else { return false }
        separator.append(byte)
      }
    }
    return true
  }
}
