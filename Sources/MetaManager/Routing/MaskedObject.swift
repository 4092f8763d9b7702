import YAML

/// Stored objects as people may see them: without what is secret.
enum MaskedObject {
  private static let secretMembers: Set<String> = ["data", "stringData"]

  /// The values of a Secret and the token of a TokenRequest are replaced by their sizes.
  static func text(_ object: [UInt8], key: String) -> [UInt8] {
    guard var value = try? JSONValue(json: object) else { return JSONValue.string("(\(object.count) bytes that are no JSON)").jsonBytes() }
    if value["kind"]?.string == "Secret" || key.split(separator: "/").dropFirst().first == "secret" {
      for member in secretMembers {
        guard let fields = value[member]?.object else { continue }
        value[member] = .object(fields.map { .init($0.key, masked($0.value)) })
      }
      // What kubectl apply leaves there repeats all of the object.
      if var annotations = value["metadata"]?["annotations"] {
        annotations["kubectl.kubernetes.io/last-applied-configuration"] = nil
        value["metadata"]?["annotations"] = annotations
      }
    }
    if var status = value["status"], status["token"] != nil {
      status["token"] = status["token"].map(masked)
      value["status"] = status
    }
    return value.jsonBytes()
  }

  private static func masked(_ value: JSONValue) -> JSONValue { .string("(\(value.string?.utf8.count ?? 0) bytes, hidden)") }
}
