import KubernetesAPI
import YAML

/// Who a static pod is: its name on this node, its UID, and the marks that tell it from pods of the cloud.
struct StaticPodIdentity {
  let nodeName: String
  let file: String

  static func name(of name: String, nodeName: String) -> String { "\(name)-\(nodeName.lowercased())" }

  func apply(to pod: inout Pod, _ raw: JSONValue) {
    pod.metadata.name = Self.name(of: pod.name, nodeName: nodeName)
    pod.spec.nodeName = nodeName
    let given = pod.metadata.uid ?? ""
    let uid = given.isEmpty ? hash(of: raw) : given
    pod.metadata.uid = uid
    var annotations = pod.metadata.annotations ?? [:]
    annotations["kubernetes.io/config.hash"] = uid
    annotations["kubernetes.io/config.source"] = "file"
    annotations["kubernetes.io/config.seen"] = Timestamp.now.rfc3339(fractionDigits: 9)
    pod.metadata.annotations = annotations
    // Nothing that befalls the node makes it give up its own pods.
    pod.spec.tolerations = (pod.spec.tolerations ?? []) + [Toleration(operator: "Exists", effect: "NoExecute")]
  }

  /// Another manifest, node or file: another pod. The order of keys, comments and layout make no difference.
  private func hash(of raw: JSONValue) -> String {
    var hash = FNV1a128()
    hash.combine(raw.sortedByKey.jsonBytes())
    hash.combine("host:\(nodeName)".utf8)
    hash.combine("file:\(file)".utf8)
    return hash.hexText
  }
}

/// The 128-bit Fowler–Noll–Vo hash, variant 1a.
struct FNV1a128 {
  private var value: UInt128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d

  mutating func combine(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt128(byte)) &* 0x0000_0000_0100_0000_0000_0000_0000_013b }
  }

  var hexText: String {
    let text = String(value, radix: 16)
    return String(repeating: "0", count: 32 - text.utf8.count) + text
  }
}

extension JSONValue {
  fileprivate var sortedByKey: JSONValue {
    switch self {
    case .array(let items): .array(items.map(\.sortedByKey))
    case .object(let members):
      .object(members.map { Member($0.key, $0.value.sortedByKey) }.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
    default: self
    }
  }
}
