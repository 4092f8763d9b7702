import FoundationEssentials

/// A name and a password for a registry. Printing one never shows the password.
public struct RegistryLogin: Sendable, Hashable {
  public var username: String
  public var password: String

  public init(username: String, password: String) {
    self.username = username
    self.password = password
  }
}

extension RegistryLogin: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "RegistryLogin(<masked>)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: []) }
}

/// The logins of one Docker configuration file or of one pull secret, by registry.
public struct RegistryCredentials: Sendable, Hashable {
  public struct Entry: Sendable, Hashable {
    /// Host, port and path as in the image's name, globs allowed in the host: `*.example.com:5000/team`.
    public var registry: String
    public var login: RegistryLogin
  }

  public private(set) var entries: [Entry]

  public init(_ logins: [String: RegistryLogin]) {
    entries = logins.sorted { $0.key < $1.key }.map { Entry(registry: Self.key(ofLocation: $0.key), login: $0.value) }
  }

  /// Reads `{"auths": {"<registry>": {…}}}`: `~/.docker/config.json` and secrets of type `kubernetes.io/dockerconfigjson`.
  public init(dockerConfigJSON bytes: [UInt8]) throws(RegistryCredentialsError) {
    self.init(try Self.logins(Self.decode(DockerConfig.self, bytes).auths ?? [:]))
  }

  /// Reads `{"<registry>": {…}}`: `~/.dockercfg` and secrets of type `kubernetes.io/dockercfg`.
  public init(dockercfg bytes: [UInt8]) throws(RegistryCredentialsError) {
    self.init(try Self.logins(Self.decode([String: DockerLogin].self, bytes)))
  }

  /// Reads a pull secret; nil if its type or its keys are not those of a pull secret.
  /// - Parameter data: the secret's values, no longer in base64.
  public init?(secretType: String, data: [String: [UInt8]]) throws(RegistryCredentialsError) {
    if secretType == "kubernetes.io/dockerconfigjson", let bytes = data[".dockerconfigjson"] {
      try self.init(dockerConfigJSON: bytes)
    } else if secretType == "kubernetes.io/dockercfg", let bytes = data[".dockercfg"] {
      try self.init(dockercfg: bytes)
    } else {
      return nil
    }
  }
}

/// A Docker configuration that can't be used. It never carries the configuration's text.
public struct RegistryCredentialsError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String
}

extension RegistryCredentials {
  private struct DockerConfig: Decodable {
    var auths: [String: DockerLogin]?
  }

  private struct DockerLogin: Decodable {
    var username: String?
    var password: String?
    /// Base64 of `username:password`, padded or not; it wins over the other two.
    var auth: String?
  }

  private static func decode<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8]) throws(RegistryCredentialsError) -> Value {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch {
      // The decoder's own message may quote the file.
      throw RegistryCredentialsError(description: "registry credentials are no valid Docker configuration in JSON")
    }
  }

  private static func logins(_ written: [String: DockerLogin]) throws(RegistryCredentialsError) -> [String: RegistryLogin] {
    var logins: [String: RegistryLogin] = [:]
    for (registry, entry) in written {
      var login = RegistryLogin(username: entry.username ?? "", password: entry.password ?? "")
      if let auth = entry.auth, !auth.isEmpty {
        guard let decoded = decodeAuth(auth) else {
          throw RegistryCredentialsError(
            description:
              "registry credentials for \"\(registry)\": unable to parse auth field, must be formatted as base64(username:password)")
        }
        login = decoded
      }
      logins[registry] = login
    }
    return logins
  }

  private static func decodeAuth(_ text: String) -> RegistryLogin? {
    var base64 = text.filter { !$0.isWhitespace }
    while base64.hasSuffix("=") { base64.removeLast() }
    base64 += String(repeating: "=", count: (4 - base64.utf8.count % 4) % 4)
    guard let data = Data(base64Encoded: base64), let colon = data.firstIndex(of: 0x3A) else { return nil }
    return RegistryLogin(
      username: String(decoding: data[..<colon], as: UTF8.self),
      password: String(decoding: data[(colon + 1)...], as: UTF8.self))
  }

  /// `https://index.docker.io/v1/` → `index.docker.io`, `http://example.com:5000/v2/team` → `example.com:5000/team`.
  private static func key(ofLocation location: String) -> String {
    var rest = location[...]
    for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) { rest = rest.dropFirst(scheme.count) }
    guard let slash = rest.firstIndex(of: "/") else { return String(rest) }
    let host = rest[..<slash]
    var path = rest[slash...]
    if path.hasPrefix("/v1/") || path.hasPrefix("/v2/") { path = path.dropFirst(3) }
    return path == "/" ? String(host) : String(host + path)
  }
}
