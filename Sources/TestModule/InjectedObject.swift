import Core
import HTTPServer
import YAML

/// An object that a test puts in, changes or takes away.
struct InjectedObject: Sendable {
  enum Kind: String, Sendable {
    case pod = "Pod"
    case configMap = "ConfigMap"
    case secret = "Secret"
  }

  let key: ObjectKey
  let object: JSONValue

  /// - Throws: `ServerError` 400 if it is no such object.
  init(_ body: [UInt8], _ kind: Kind, _ operation: Message.Operation, nodeName: String) throws(ServerError) {
    var object = try Self.json(body)
    if let other = object["kind"]?.string, other != kind.rawValue {
      throw .badRequest("the body is a \(other); here belongs a \(kind.rawValue)")
    }
    let name = object["metadata"]?["name"]?.string ?? ""
    let namespace = object["metadata"]?["namespace"]?.string ?? ""
    guard !name.isEmpty else { throw .badRequest("metadata.name is missing") }
    let type = kind.rawValue.lowercased()
    let resource = "\(namespace.isEmpty ? "default" : namespace)/\(type)/\(name)"
    guard let key = ObjectKey(resource: resource) else { throw .badRequest("\"\(resource)\" has a name with a slash") }
    var metadata = object["metadata"] ?? .object([])
    metadata["namespace"] = .string(key.namespace)
    if kind == .pod, operation != .delete {
      // Nothing is told apart by its name. What is put in under the same name again is the same one.
      if metadata["uid"]?.string?.isEmpty ?? true { metadata["uid"] = .string(Self.uid(of: key)) }
      var spec = object["spec"] ?? .object([])
      if spec["nodeName"]?.string?.isEmpty ?? true { spec["nodeName"] = .string(nodeName) }
      object["spec"] = spec
    }
    object["metadata"] = metadata
    self.key = key
    self.object = object
  }

  /// - Throws: `ServerError` 400.
  static func json(_ body: [UInt8]) throws(ServerError) -> JSONValue {
    let value: JSONValue
    do {
      value = try JSONValue(json: body)
    } catch {
      throw .badRequest("the body is no JSON: \(error)")
    }
    guard value.object != nil else { throw .badRequest("the body is no JSON object") }
    return value
  }

  /// As the cloud's message would be.
  func message(_ operation: Message.Operation) -> Message {
    Message(
      header: .init(resourceVersion: object["metadata"]?["resourceVersion"]?.string ?? ""),
      route: .init(source: ModuleName.testManager.rawValue, group: "resource", operation: operation, resource: key.resource),
      content: object.jsonBytes())
  }

  /// Made of the name, in the shape of a UUID.
  private static func uid(of key: ObjectKey) -> String {
    // Twice, with different beginnings.
    let halves = [StableHash.start, 0x8422_2325_CBF2_9CE4].map { StableHash.value(of: key.resource.utf8, from: $0) }
    let digits = halves.map { half in
      let text = String(half, radix: 16)
      return String(repeating: "0", count: 16 - text.utf8.count) + text
    }.joined()
    let letters = Array(digits.utf8)
    return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(decoding: letters[$0], as: UTF8.self) }.joined(separator: "-")
  }
}
