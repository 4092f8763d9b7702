import YAML

/// Keys of older configuration files and the keys they became.
///
/// The oldest files have flat keys (`mqtt.server`), written with dots or as nested maps; later ones had the engine's endpoints beside
/// `tailoredKubeletConfig`.
enum LegacyKeys {
  /// A value found under an older key.
  struct Finding {
    /// Where it stands in the document.
    var documentPath: [PathComponent]
    /// What it means today.
    var path: [PathComponent]
    var value: JSONValue
  }

  private static let kubelet = ["modules", "edged", "tailoredKubeletConfig"]

  static let flat: [(old: [String], new: [String])] = [
    (["mqtt", "mode"], ["modules", "eventBus", "mqttMode"]),
    (["mqtt", "server"], ["modules", "eventBus", "mqttServerExternal"]),
    (["mqtt", "internal-server"], ["modules", "eventBus", "mqttServerInternal"]),
    (["mqtt", "qos"], ["modules", "eventBus", "mqttQOS"]),
    (["mqtt", "retain"], ["modules", "eventBus", "mqttRetain"]),
    (["mqtt", "session-queue-size"], ["modules", "eventBus", "mqttSessionQueueSize"]),
    (["edgehub", "controller", "node-id"], ["modules", "edged", "hostnameOverride"]),
  ]

  private static let renamed: [(old: [String], new: [String])] = [
    (["modules", "edged", "remoteRuntimeEndpoint"], kubelet + ["containerRuntimeEndpoint"]),
    (["modules", "edged", "remoteImageEndpoint"], kubelet + ["imageServiceEndpoint"]),
  ]

  private static let enabled = ["modules", "enabled"]
  private static let eventBus: [PathComponent] = [.key("modules"), .key("eventBus")]

  /// The names in `modules.enabled` and the module's key today.
  private static let modules: [(names: Set<String>, key: String)] = [
    (["edged"], "edged"), (["eventbus"], "eventBus"), (["websocket"], "edgeHub"), (["metamanager"], "metaManager"),
    (["twin"], "deviceTwin"), (["servicebus"], "serviceBus"), (["edgemesh"], "edgeMesh"),
    // The list that was shipped had "dbTest", a name that no module bore: it switches nothing on.
    (["testmanager"], "dbTest"),
  ]

  /// Whether a document has one of the oldest, flat keys.
  static func hasFlatKeys(_ value: JSONValue) -> Bool {
    (flat.map(\.old) + [enabled]).contains { find($0, in: value) != nil }
  }

  /// Takes the older keys out of a document.
  static func extract(from document: inout JSONValue) -> [Finding] {
    var findings: [Finding] = []
    let isWithoutMode = find(flat[0].old, in: document) == nil && find(["modules", "eventBus"], in: document) == nil
    for (old, new) in flat + renamed {
      guard let place = find(old, in: document), let value = remove(place[...], from: &document) else { continue }
      findings.append(Finding(documentPath: place, path: new.map { .key($0) }, value: value))
    }
    // In the oldest files the internal broker was what nobody had to ask for.
    if isWithoutMode, let other = findings.first(where: { $0.path.starts(with: eventBus) }) {
      findings.append(Finding(documentPath: other.documentPath, path: eventBus + [.key("mqttMode")], value: .number("0")))
    }
    if let place = find(enabled, in: document), let value = value(at: place, of: document), let names = names(value) {
      _ = remove(place[...], from: &document)
      let wished = Set(names.map { $0.lowercased() })
      for (names, key) in modules {
        let path: [PathComponent] = [.key("modules"), .key(key), .key("enable")]
        findings.append(Finding(documentPath: place, path: path, value: .bool(!wished.isDisjoint(with: names))))
      }
    }
    return findings
  }

  /// The names of a list, or of a text in which commas stand between them; nil if the value is neither.
  private static func names(_ value: JSONValue) -> [String]? {
    if let list = value.array { return list.compactMap(\.string) }
    return value.string?.split(separator: ",").map { String($0.filter { $0 != " " }) }
  }

  private static func value(at path: [PathComponent], of document: JSONValue) -> JSONValue? {
    path.reduce(document) { value, component in
      guard case .key(let key) = component else { return nil }
      return value?[key]
    }
  }

  /// The place of a dotted key: its parts may be joined by dots or nested, in any mixture, in any case.
  private static func find(_ keys: [String], in value: JSONValue) -> [PathComponent]? {
    guard let members = value.object else { return nil }
    for count in 1...keys.count {
      let joined = keys[..<count].joined(separator: ".").lowercased()
      guard let member = members.first(where: { $0.key.lowercased() == joined }) else { continue }
      if count == keys.count { return [.key(member.key)] }
      if let rest = find(Array(keys[count...]), in: member.value) { return [.key(member.key)] + rest }
    }
    return nil
  }

  private static func remove(_ path: ArraySlice<PathComponent>, from value: inout JSONValue) -> JSONValue? {
    guard case .key(let key)? = path.first, var inner = value[key] else { return nil }
    if path.count == 1 {
      value[key] = nil
      return inner
    }
    let removed = remove(path.dropFirst(), from: &inner)
    value[key] = inner == .object([]) ? nil : inner
    return removed
  }
}
