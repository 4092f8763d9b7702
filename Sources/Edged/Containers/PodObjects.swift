/// The ConfigMaps and Secrets of a pod's namespace that are at hand, by name; what a pod refers to and isn't here is "not found".
///
/// Printing shows names alone.
struct PodObjects: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  var configMaps: [String: [String: String]]
  var secrets: [String: [String: [UInt8]]]

  init(configMaps: [String: [String: String]] = [:], secrets: [String: [String: [UInt8]]] = [:]) {
    self.configMaps = configMaps
    self.secrets = secrets
  }

  /// Either kind of object, as environments use it.
  enum Kind: String, Sendable, Hashable {
    case configMap = "ConfigMap"
    case secret = "Secret"
  }

  func data(_ kind: Kind, _ name: String) -> [String: String]? {
    switch kind {
    case .configMap: configMaps[name]
    case .secret: secrets[name]?.mapValues { String(decoding: $0, as: UTF8.self) }
    }
  }

  var description: String { "config maps \(configMaps.keys.sorted()), secrets \(secrets.keys.sorted())" }
  var debugDescription: String { description }
  var customMirror: Mirror {
    Mirror(self, children: ["configMaps": configMaps.keys.sorted(), "secrets": secrets.keys.sorted()])
  }
}
