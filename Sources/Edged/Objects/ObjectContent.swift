import KubernetesAPI
import YAML

/// What a ConfigMap or a Secret holds, decoded once for all pods that refer to it. Printing it never shows a value.
struct ObjectContent: Sendable {
  var uid = ""
  /// Another number stands for other values; told by whoever keeps the content.
  var revision = 0
  /// By key: what can become variables and files.
  var values: [String: [UInt8]]
  /// By key: what can only become files.
  var binary: [String: [UInt8]] = [:]
  /// Of a Secret.
  var secretType = ""
  /// Whether the values never change.
  var isImmutable = false

  init(values: [String: [UInt8]]) { self.values = values }

  init(_ configMap: ConfigMap) {
    values = (configMap.data ?? [:]).mapValues { Array($0.utf8) }
    binary = (configMap.binaryData ?? [:]).mapValues(\.bytes)
    uid = configMap.metadata.uid ?? ""
    isImmutable = configMap.immutable == true
  }

  init(_ secret: Secret) {
    values = (secret.data ?? [:]).mapValues(\.bytes)
    secretType = secret.type ?? "Opaque"
    uid = secret.metadata.uid ?? ""
    isImmutable = secret.immutable == true
  }

  /// - Throws: `ObjectAbsence.unknown`, whose text never repeats the JSON.
  init(_ kind: PodObjects.Kind, named name: String, json: [UInt8]) throws(ObjectAbsence) {
    do {
      let value = try JSONValue(json: json)
      // What is no such object must not pass for an empty one.
      guard value["metadata"]?["name"]?.string == name else { throw ObjectAbsence.unknown("the answer is another object") }
      switch kind {
      case .configMap: self.init(try value.decode(ConfigMap.self))
      case .secret: self.init(try value.decode(Secret.self))
      }
    } catch {
      throw ObjectAbsence(error)
    }
  }

  func bytes(_ key: String) -> [UInt8]? { values[key] ?? binary[key] }

  func holdsTheSame(as other: ObjectContent) -> Bool {
    values == other.values && binary == other.binary && secretType == other.secretType
  }
}

extension ObjectContent: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  var description: String { "\(values.count + binary.count) values" }
  var debugDescription: String { description }
  var customMirror: Mirror { Mirror(self, children: []) }
}
