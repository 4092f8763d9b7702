import Glibc
import YAML

/// Reads the configuration from all its sources.
///
/// What counts, first to last: the cloud's update, the command line, the environment, files, built-in defaults.
public struct ConfigurationLoader: Sendable {
  public static let defaultFile = "/etc/kubeedge/config/edgecore.yaml"
  public static let environmentPrefix = "EDGECORE_"

  /// `--config`; must exist if given. Without it the default file is read if it exists, else what `confDirectory` holds.
  public var file: String?
  public var defaultFile = Self.defaultFile
  /// Searched for .yaml and .yml files of kind EdgeCore, or with flat keys of older versions, which are merged in the order of their names.
  public var confDirectory = "conf"
  /// Variables `EDGECORE_…`: a key's path in any case, with or without underscores.
  public var environment: [String: String] = [:]
  /// `key.path=value` each; lists take commas or YAML, maps `a=b,c=d` or YAML.
  public var settings: [String] = []
  /// What the cloud pushed, in the shape of the configuration file.
  public var cloud: JSONValue?

  public init() {}

  /// - Throws: `ConfigurationError` with every problem found, each with its key and its source.
  public func load() throws(ConfigurationError) -> LoadedConfiguration {
    let defaults: JSONValue
    do {
      defaults = try JSONValue(encoding: EdgeCoreConfiguration())
    } catch {
      throw ConfigurationError("the built-in defaults can't be written: \(error)")
    }
    var tree = ConfigurationTree(defaults: defaults)
    let documents = try self.documents()
    for document in documents { merge(document, into: &tree) }
    merge(environment: environment, into: &tree)
    for setting in settings { try merge(setting: setting, into: &tree) }
    if let cloud { tree.merge(cloud) { _ in .cloud } }
    complete(&tree)

    let configuration: EdgeCoreConfiguration
    do throws(DecodingFailure) {
      configuration = try tree.value.decode(EdgeCoreConfiguration.self)
    } catch {
      throw ConfigurationError([Self.problem(of: error, in: tree)])
    }
    var validation = ConfigurationValidation(tree: tree)
    validation.check(configuration)
    guard validation.problems.isEmpty else { throw ConfigurationError(validation.problems) }
    var files: [String] = []
    for document in documents where files.last != document.path { files.append(document.path) }
    return LoadedConfiguration(configuration: configuration, tree: tree, files: files)
  }

  private func documents() throws(ConfigurationError) -> [ConfigurationFiles.Document] {
    if let file { return try ConfigurationFiles.documents(ofFile: file, found: false) }
    if ConfigurationFiles.exists(defaultFile) { return try ConfigurationFiles.documents(ofFile: defaultFile, found: false) }
    var documents: [ConfigurationFiles.Document] = []
    for path in ConfigurationFiles.search(confDirectory) { documents += try ConfigurationFiles.documents(ofFile: path, found: true) }
    return documents
  }

  private func merge(_ document: ConfigurationFiles.Document, into tree: inout ConfigurationTree) {
    let source = { (path: [PathComponent]) -> ConfigurationSource in
      .file(path: document.path, line: document.document.line(of: path) ?? document.document.startLine)
    }
    var value = document.document.value
    for finding in LegacyKeys.extract(from: &value) {
      let place = source(finding.documentPath)
      tree.merge(.nested(finding.value, at: finding.path), reportsUnknown: false) { _ in place }
    }
    tree.merge(value, source: source)
  }

  private func merge(environment: [String: String], into tree: inout ConfigurationTree) {
    var known: [String: [PathComponent]] = [:]
    for (old, new) in LegacyKeys.flat { known[Self.folded(old.joined())] = new.map { .key($0) } }
    for path in tree.knownPaths { known[Self.folded(path.map { if case .key(let key) = $0 { key } else { "" } }.joined())] = path }
    for (name, text) in environment.sorted(by: { $0.key < $1.key }) where name.uppercased().hasPrefix(Self.environmentPrefix) {
      let source = ConfigurationSource.environment(name: name)
      let key = String(name.dropFirst(Self.environmentPrefix.count))
      if let path = known[Self.folded(key)] {
        let keys = path.compactMap { if case .key(let key) = $0 { key } else { nil } }
        tree.merge(.nested(Self.value(text, like: tree.knownPath(keys).template), at: path)) { _ in source }
      } else {
        tree.merge(.object([.init(name, .string(text))])) { _ in source }
      }
    }
  }

  private func merge(setting: String, into tree: inout ConfigurationTree) throws(ConfigurationError) {
    guard let equals = setting.firstIndex(of: "="), equals > setting.startIndex else {
      throw ConfigurationError("--set takes key.path=value, e.g. modules.edged.nodeIP=10.0.0.5; found \"\(setting.prefix { $0 != "=" })\"")
    }
    let key = String(setting[..<equals])
    let text = String(setting[setting.index(after: equals)...])
    var keys = key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    if let flat = LegacyKeys.flat.first(where: { $0.old.joined(separator: ".") == key.lowercased() }) { keys = flat.new }
    let (path, template) = tree.knownPath(keys)
    tree.merge(.nested(Self.value(text, like: template), at: path)) { _ in .commandLine(key: key) }
  }

  private static func folded(_ name: String) -> String { name.lowercased().filter { $0 != "_" && $0 != "-" } }

  /// What a text from the command line or the environment means where the default is `template`.
  static func value(_ text: String, like template: JSONValue?) -> JSONValue {
    func parsed() -> JSONValue? { (try? YAML.documents(text))?.first?.value }
    switch template {
    case .string: return .string(text)
    case .array:
      if text.hasPrefix("["), let list = parsed(), list.array != nil { return list }
      return .array(text.split(separator: ",").map { .string(String($0.trimmed)) })
    case .object:
      if text.hasPrefix("{"), let object = parsed(), object.object != nil { return object }
      var members: [JSONValue.Member] = []
      for pair in text.split(separator: ",") {
        guard let equals = pair.firstIndex(of: "=") else { return .string(text) }
        members.append(.init(String(pair[..<equals].trimmed), .string(String(pair[pair.index(after: equals)...].trimmed))))
      }
      return .object(members)
    default: return parsed() ?? .string(text)
    }
  }

  /// Values that follow from others or from the host.
  private func complete(_ tree: inout ConfigurationTree) {
    let edged: [PathComponent] = [.key("modules"), .key("edged")]
    let name = edged + [.key("hostnameOverride")]
    if tree.value(at: name) == .string("") {
      tree.merge(.nested(.string(Self.hostName), at: name)) { _ in .builtIn }
    }
    let runtime = edged + [.key("tailoredKubeletConfig"), .key("containerRuntimeEndpoint")]
    let images = edged + [.key("tailoredKubeletConfig"), .key("imageServiceEndpoint")]
    let source = tree.source(of: runtime)
    if let endpoint = tree.value(at: runtime), tree.value(at: images) == .string("") {
      tree.merge(.nested(endpoint, at: images)) { _ in source }
    }
  }

  /// The host's name in lower case, `default-edge-node` if it has none.
  static var hostName: String {
    var buffer = [CChar](repeating: 0, count: 256)
    guard gethostname(&buffer, buffer.count - 1) == 0 else { return "default-edge-node" }
    let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
    return name.isEmpty ? "default-edge-node" : name
  }

  private static func problem(of failure: DecodingFailure, in tree: ConfigurationTree) -> ConfigurationError.Problem {
    var problem = failure.problem
    // An enumeration's own error names neither the value nor the choice.
    if let allowed = ConfigurationValidation.choices[failure.field], case .string(let text)? = tree.value(at: failure.path) {
      problem = "\"\(text)\" is not allowed; allowed: \(allowed.joined(separator: ", "))"
    }
    return .init(key: failure.field, problem: problem, source: tree.source(of: failure.path))
  }
}

/// A configuration that has been read and checked.
public struct LoadedConfiguration: Sendable {
  public let configuration: EdgeCoreConfiguration
  /// All values with their sources, the unknown ones included.
  public let tree: ConfigurationTree
  /// The files that were read, in order.
  public let files: [String]
}

extension Substring {
  var trimmed: Substring {
    var text = self.drop { $0 == " " || $0 == "\t" }
    while let last = text.last, last == " " || last == "\t" { text.removeLast() }
    return text
  }
}
