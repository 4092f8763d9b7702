import YAML

/// A Device object of the cloud (devices.kubeedge.io/v1beta1), as it is.
struct DeviceObject: Sendable, Hashable {
  let namespace: String
  let name: String
  let resourceVersion: Int64
  let json: JSONValue

  /// Nil if it has no name.
  init?(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(json: bytes), let name = json["metadata"]?["name"]?.string, !name.isEmpty else { return nil }
    self.json = json
    self.name = name
    namespace = json["metadata"]?["namespace"]?.string ?? "default"
    resourceVersion = json["metadata"]?["resourceVersion"]?.string.flatMap { Int64($0) } ?? 0
  }

  var id: DeviceID { DeviceID(namespace: namespace, name: name) }
  var spec: JSONValue { json["spec"] ?? .null }
  /// `<namespace>/<name>`; nil if it names none.
  var model: String? {
    spec["deviceModelRef"]?["name"]?.string.flatMap { $0.isEmpty ? nil : "\(namespace)/\($0)" }
  }
  var protocolName: String { spec["protocol"]?["protocolName"]?.string ?? "" }
  var properties: [JSONValue] { spec["properties"]?.array ?? [] }

  /// What it wishes; types are those of its model.
  func wishes(_ model: DeviceModelObject?) -> DeviceWishes {
    var wishes = DeviceWishes(properties: [:])
    for property in properties {
      guard let name = property["name"]?.string, !name.isEmpty else { continue }
      let desired = property["desired"]?["value"]?.string.flatMap { $0.isEmpty ? nil : $0 }
      wishes.properties[name] = .init(desired: desired, type: model?.twinType(of: name))
    }
    return wishes
  }
}

/// A DeviceModel object of the cloud, as it is.
struct DeviceModelObject: Sendable, Hashable {
  let namespace: String
  let name: String
  let json: JSONValue

  /// Nil if it has no name.
  init?(_ bytes: [UInt8]) {
    guard let json = try? JSONValue(json: bytes), let name = json["metadata"]?["name"]?.string, !name.isEmpty else { return nil }
    self.json = json
    self.name = name
    namespace = json["metadata"]?["namespace"]?.string ?? "default"
  }

  var id: String { "\(namespace)/\(name)" }
  var spec: JSONValue { json["spec"] ?? .null }
  var protocolName: String { spec["protocol"]?.string ?? "" }
  var properties: [JSONValue] { spec["properties"]?.array ?? [] }

  func property(_ name: String) -> JSONValue? { properties.first { $0["name"]?.string == name } }

  /// The type that a property's twin has; nil if the model doesn't say.
  func twinType(of name: String) -> String? {
    switch property(name)?["type"]?.string?.uppercased() {
    case "INT": "int"
    case "FLOAT", "DOUBLE": "float"
    case "BOOLEAN": "boolean"
    case nil, "": nil
    default: Twin.standardType
    }
  }
}
