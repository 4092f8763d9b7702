/// Logins that an administrator left on the node, for all pods. They are read at each pull, so that a change counts at once.
public struct NodeRegistryCredentials: Sendable, Hashable {
  /// The folders that may hold a `config.json`, in order of precedence.
  public var configFolders: [String]
  /// The folders that may hold a `.dockercfg`; they count if no `config.json` was found.
  public var dockercfgFolders: [String]

  public init(configFolders: [String], dockercfgFolders: [String]) {
    self.configFolders = configFolders
    self.dockercfgFolders = dockercfgFolders
  }

  /// The folders of a node whose files are below `root`.
  public init(root: String, home: String?) {
    let home = home.flatMap { $0.isEmpty ? nil : $0 }
    configFolders = [root, "."] + (home.map { [$0 + "/.docker"] } ?? []) + ["/.docker"]
    dockercfgFolders = [root, "."] + (home.map { [$0] } ?? []) + ["/"]
  }

  /// The first file that exists and is valid; nil if none is.
  public func read() -> RegistryCredentials? {
    for folder in configFolders {
      if let bytes = Self.contents(of: folder + "/config.json"), let found = try? RegistryCredentials(dockerConfigJSON: bytes) {
        return found
      }
    }
    for folder in dockercfgFolders {
      if let bytes = Self.contents(of: folder + "/.dockercfg"), let found = try? RegistryCredentials(dockercfg: bytes) {
        return found
      }
    }
    return nil
  }

  private static func contents(of path: String) -> [UInt8]? {
    // No secret is larger than 1 MiB, either.
    (try? FileSystem.read(path, limit: 1 << 20)) ?? nil
  }
}
