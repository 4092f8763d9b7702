/// Where a value of the configuration came from.
public enum ConfigurationSource: Sendable, Hashable, CustomStringConvertible {
  case builtIn
  /// A file and a line in it, counted from 1.
  case file(path: String, line: Int)
  /// A variable of the environment.
  case environment(name: String)
  /// `--set` with that key.
  case commandLine(key: String)
  /// An update that the cloud pushed.
  case cloud

  public var description: String {
    switch self {
    case .builtIn: "built-in default"
    case .file(let path, let line): line > 0 ? "\(path):\(line)" : path
    case .environment(let name): "the environment's \(name)"
    case .commandLine(let key): "--set \(key)"
    case .cloud: "the cloud's update"
    }
  }
}

/// What is wrong with the configuration: all of it, so that one start tells everything.
public struct ConfigurationError: Error, Sendable, Hashable, CustomStringConvertible {
  /// One wrong value.
  public struct Problem: Sendable, Hashable, CustomStringConvertible {
    /// The key's path, e.g. `modules.edged.nodeIP`; empty if the whole source is meant.
    public var key: String
    public var problem: String
    /// Nil if no single source is to blame.
    public var source: ConfigurationSource?

    public init(key: String, problem: String, source: ConfigurationSource?) {
      self.key = key
      self.problem = problem
      self.source = source
    }

    public var description: String {
      (key.isEmpty ? "" : "\(key): ") + problem + (source.map { " (from \($0))" } ?? "")
    }
  }

  public var problems: [Problem]

  public init(_ problems: [Problem]) { self.problems = problems }

  init(key: String = "", _ problem: String, source: ConfigurationSource? = nil) {
    problems = [Problem(key: key, problem: problem, source: source)]
  }

  /// One problem a line.
  public var description: String { problems.map(\.description).joined(separator: "\n") }
}

/// Which values must not be shown.
public enum SecretKeys {
  /// Whether a value of that key is a secret (`token`, `mqttPassword`); the path of a file that holds one is none.
  public static func isSecret(_ key: String) -> Bool {
    let key = key.lowercased()
    if key.hasSuffix("file") || key.hasSuffix("path") || key.hasSuffix("dir") { return false }
    return ["token", "password", "passwd", "passphrase", "secret", "privatekey", "apikey", "credential"].contains { key.contains($0) }
  }
}
