/// The ConfigMaps, Secrets and tokens that one pod refers to, as they were at one moment; or why they can't be had.
///
/// Printing shows names alone.
struct PodObjects: Sendable {
  enum Kind: String, Sendable, Hashable {
    case configMap = "ConfigMap"
    case secret = "Secret"

    /// The type in the metadata store, and how messages call it.
    var type: String { self == .configMap ? "configmap" : "secret" }
  }

  /// An object of the pod's namespace.
  struct Reference: Sendable, Hashable {
    var kind: Kind
    var name: String
  }

  private(set) var contents: [Reference: Result<ObjectContent, ObjectAbsence>] = [:]
  private(set) var tokens: [ServiceAccountTokens.Request: Result<ServiceAccountToken, ObjectAbsence>] = [:]
  /// What is said of all that isn't listed.
  private var others = ObjectAbsence.notFound

  /// What an agent without a cloud has.
  static let withoutCloud: PodObjects = {
    var objects = PodObjects()
    objects.others = .noCloud
    return objects
  }()

  init(configMaps: [String: [String: String]] = [:], secrets: [String: [String: [UInt8]]] = [:]) {
    for (name, data) in configMaps {
      contents[Reference(kind: .configMap, name: name)] = .success(ObjectContent(values: data.mapValues { Array($0.utf8) }))
    }
    for (name, data) in secrets { contents[Reference(kind: .secret, name: name)] = .success(ObjectContent(values: data)) }
  }

  mutating func put(_ content: Result<ObjectContent, ObjectAbsence>, for reference: Reference) { contents[reference] = content }

  mutating func put(_ token: Result<ServiceAccountToken, ObjectAbsence>, for request: ServiceAccountTokens.Request) {
    tokens[request] = token
  }

  func content(_ kind: Kind, _ name: String) -> Result<ObjectContent, ObjectAbsence> {
    contents[Reference(kind: kind, name: name)] ?? .failure(others)
  }

  func token(_ request: ServiceAccountTokens.Request) -> Result<ServiceAccountToken, ObjectAbsence> {
    tokens[request] ?? .failure(others)
  }

  /// The logins of pull secrets in their order, and the names of those that can't be had or used.
  func pullSecrets(_ names: [String]) -> (logins: [RegistryCredentials], failed: [String]) {
    var logins: [RegistryCredentials] = []
    var failed: [String] = []
    for name in names {
      guard case .success(let secret) = content(.secret, name) else {
        failed.append(name)
        continue
      }
      do throws(RegistryCredentialsError) {
        // A secret of another type is no error; it says nothing of registries.
        if let found = try RegistryCredentials(secretType: secret.secretType, data: secret.values) { logins.append(found) }
      } catch {
        failed.append(name)
      }
    }
    return (logins, failed)
  }
}

extension PodObjects: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  var description: String { "config maps \(names(.configMap)), secrets \(names(.secret)), \(tokens.count) tokens" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: ["configMaps": names(.configMap), "secrets": names(.secret)]) }

  private func names(_ kind: Kind) -> [String] { contents.keys.filter { $0.kind == kind }.map(\.name).sorted() }
}
