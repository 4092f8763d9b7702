import YAML

/// Layers of configuration merged into one tree, each value with its source.
///
/// The defaults at the bottom say which keys are known; keys are matched ignoring case, as in Go. Lists replace each other, maps (labels,
/// thresholds) are merged. What is unknown is kept.
public struct ConfigurationTree: Sendable {
  /// A key that nothing here reads, and where it stands.
  public struct UnknownKey: Sendable, Hashable {
    public var key: String
    public var source: ConfigurationSource
  }

  /// The merged values.
  public private(set) var value: JSONValue
  /// Each only once, in the order of appearance.
  public private(set) var unknownKeys: [UnknownKey] = []
  private let template: JSONValue
  private var sources: [[PathComponent]: ConfigurationSource] = [:]

  /// Keys whose members are data, not keys of the configuration.
  private static let maps: Set<String> = [
    "modules.edged.nodeLabels", "logging.levels", "modules.edged.tailoredKubeletConfig.evictionHard",
    "modules.edged.tailoredKubeletConfig.evictionSoft", "modules.edged.tailoredKubeletConfig.evictionSoftGracePeriod",
    "modules.edged.tailoredKubeletConfig.evictionMinimumReclaim", "modules.edged.tailoredKubeletConfig.systemReserved",
    "modules.edged.tailoredKubeletConfig.kubeReserved",
  ]

  static func isMap(_ path: [PathComponent]) -> Bool { maps.contains(path.dotted) }

  init(defaults: JSONValue) {
    value = defaults
    template = defaults
  }

  /// The source of the value at `path`, or of what it is part of.
  public func source(of path: [PathComponent]) -> ConfigurationSource {
    var path = path[...]
    while !path.isEmpty {
      if let source = sources[Array(path)] { return source }
      path.removeLast()
    }
    return .builtIn
  }

  /// The value at `path`; nil if there is none.
  public func value(at path: [PathComponent]) -> JSONValue? {
    var value: JSONValue? = value
    for component in path {
      switch component {
      case .key(let key): value = value?[key]
      case .index(let index): value = value?.array.flatMap { $0.indices.contains(index) ? $0[index] : nil }
      }
    }
    return value
  }

  /// The merged values without secrets, for people.
  public var masked: JSONValue { Self.masked(value) }

  private static func masked(_ value: JSONValue) -> JSONValue {
    switch value {
    case .object(let members):
      return .object(
        members.map { member in
          switch member.value {
          case .string(let text) where SecretKeys.isSecret(member.key): .init(member.key, .string(text.isEmpty ? "" : "********"))
          case .number where SecretKeys.isSecret(member.key): .init(member.key, .string("********"))
          default: .init(member.key, masked(member.value))
          }
        })
    case .array(let items): return .array(items.map(masked))
    default: return value
    }
  }

  /// Puts a layer on top.
  ///
  /// - Parameters:
  ///   - reportsUnknown: whether unknown keys of this layer are noted.
  ///   - source: the source of the value at a path of the layer, its keys as the layer writes them.
  mutating func merge(_ layer: JSONValue, reportsUnknown: Bool = true, source: ([PathComponent]) -> ConfigurationSource) {
    value = merged(
      value, template, layer, path: [], layerPath: [], reports: reportsUnknown, source: source)
  }

  private mutating func merged(
    _ base: JSONValue?, _ template: JSONValue?, _ layer: JSONValue, path: [PathComponent], layerPath: [PathComponent], reports: Bool,
    source: ([PathComponent]) -> ConfigurationSource
  ) -> JSONValue {
    let isMap = Self.isMap(path)
    switch (template, layer) {
    case (.object(let known)?, .object(let members)):
      var result = base ?? .object([])
      if result.object == nil { result = .object([]) }
      for member in members {
        let memberLayerPath = layerPath + [.key(member.key)]
        if isMap {
          sources[path + [.key(member.key)]] = source(memberLayerPath)
          result[member.key] = member.value
          continue
        }
        let key = Self.canonical(member.key, in: known)
        let memberPath = path + [.key(key ?? member.key)]
        if key == nil, reports { noteUnknown(memberPath, source(memberLayerPath)) }
        result[key ?? member.key] = merged(
          result[key ?? member.key], key.flatMap { template?[$0] }, member.value, path: memberPath, layerPath: memberLayerPath,
          reports: reports && key != nil, source: source)
      }
      return result
    case (nil, .object(let members)) where base?.object != nil:
      var result = base ?? .object([])
      for member in members {
        result[member.key] = merged(
          result[member.key], nil, member.value, path: path + [.key(member.key)], layerPath: layerPath + [.key(member.key)],
          reports: false, source: source)
      }
      return result
    case (let template?, .null):
      // As in Go: null empties a map or a list and leaves anything else alone.
      if isMap || template.array != nil {
        sources[path] = source(layerPath)
        return template.array != nil ? .array([]) : .object([])
      }
      return base ?? template
    default:
      for stale in sources.keys where stale.count > path.count && Array(stale.prefix(path.count)) == path { sources[stale] = nil }
      sources[path] = source(layerPath)
      return layer
    }
  }

  private mutating func noteUnknown(_ path: [PathComponent], _ source: ConfigurationSource) {
    let key = path.dotted
    if !unknownKeys.contains(where: { $0.key == key }) { unknownKeys.append(UnknownKey(key: key, source: source)) }
  }

  static func canonical(_ key: String, in known: [JSONValue.Member]) -> String? {
    if known.contains(where: { $0.key == key }) { return key }
    let lowered = key.lowercased()
    return known.first { $0.key.lowercased() == lowered }?.key
  }

  /// The known path that `keys` mean, ignoring case, and the default value there; below a map the remaining keys are one key of it,
  /// and unknown keys are taken as they are.
  func knownPath(_ keys: [String]) -> (path: [PathComponent], template: JSONValue?) {
    var path: [PathComponent] = []
    var template: JSONValue? = template
    for (index, key) in keys.enumerated() {
      if Self.isMap(path) {
        path.append(.key(keys[index...].joined(separator: ".")))
        return (path, .string(""))
      }
      let canonical = template?.object.flatMap { Self.canonical(key, in: $0) }
      template = canonical.flatMap { template?[$0] }
      path.append(.key(canonical ?? key))
    }
    return (path, template)
  }

  /// Every known path that takes a value: scalars, lists and maps.
  var knownPaths: [[PathComponent]] {
    var paths: [[PathComponent]] = []
    func walk(_ value: JSONValue, _ path: [PathComponent]) {
      if case .object(let members) = value, !Self.isMap(path) {
        for member in members { walk(member.value, path + [.key(member.key)]) }
      } else {
        paths.append(path)
      }
    }
    walk(template, [])
    return paths
  }
}

extension JSONValue {
  /// An object of objects with `value` at the end of `path`.
  static func nested(_ value: JSONValue, at path: [PathComponent]) -> JSONValue {
    path.reversed().reduce(value) { inner, component in
      switch component {
      case .key(let key): .object([Member(key, inner)])
      case .index: .array([inner])
      }
    }
  }
}
