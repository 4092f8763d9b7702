import KubernetesAPI

/// Values of a pod that its containers may read, as environment variables or as files.
public struct DownwardAPI: Sendable {
  public var pod: Pod
  public var node: NodeFacts
  /// Empty until the pod's sandbox has its addresses.
  public var podIPs: [String]

  public init(pod: Pod, node: NodeFacts, podIPs: [String]) {
    self.pod = pod
    self.node = node
    self.podIPs = podIPs
  }

  /// The text of a field such as `metadata.name`, `metadata.labels['app']`, `status.podIP`.
  ///
  /// Whole maps (`metadata.labels`) are lines `key="quoted value"`, sorted by key; only volumes may ask for them.
  public func field(_ path: String) throws(DownwardAPIError) -> String {
    let metadata = pod.metadata
    switch path {
    case "metadata.name": return pod.name
    case "metadata.namespace": return pod.namespace
    case "metadata.uid": return pod.uid
    case "metadata.labels": return Self.lines(metadata.labels)
    case "metadata.annotations": return Self.lines(metadata.annotations)
    case "spec.nodeName": return pod.spec.nodeName ?? node.name
    case "spec.serviceAccountName": return pod.spec.serviceAccountName ?? ""
    case "status.hostIP": return node.hostIPs.first ?? ""
    case "status.hostIPs": return node.hostIPs.joined(separator: ",")
    case "status.podIP": return podIPs.first ?? ""
    case "status.podIPs": return podIPs.joined(separator: ",")
    default:
      if let key = Self.subscriptKey(path, of: "metadata.labels") { return metadata.labels?[key] ?? "" }
      if let key = Self.subscriptKey(path, of: "metadata.annotations") { return metadata.annotations?[key] ?? "" }
      throw DownwardAPIError.unsupportedField(path)
    }
  }

  /// The amount of a resource (`limits.cpu`, `requests.memory`, …) in units of the divisor, rounded up.
  ///
  /// A limit that isn't set is the node's allocatable amount.
  public func resource(_ selector: ResourceFieldSelector, container: Container) throws(DownwardAPIError) -> String {
    let parts = selector.resource.split(separator: ".", maxSplits: 1).map(String.init)
    guard parts.count == 2, parts[0] == "limits" || parts[0] == "requests", Self.isResource(parts[1]) else {
      throw DownwardAPIError.unsupportedResource(selector.resource)
    }
    let name = parts[1]
    let amount: Quantity
    if parts[0] == "requests" {
      amount = container.resources?.requests?[name] ?? container.resources?.limits?[name] ?? Quantity(value: 0)
    } else {
      // Nobody gets the node's huge pages without asking for them.
      let allocatable = name.hasPrefix("hugepages-") ? nil : node.allocatable[name]
      amount = container.resources?.limits?[name] ?? allocatable ?? Quantity(value: 0)
    }
    let divisor = max(1, selector.divisor.map { $0.milliValue == 0 ? 1000 : $0.milliValue } ?? 1000)
    return String(amount.milliValue / divisor + (amount.milliValue % divisor == 0 ? 0 : 1))
  }

  private static func isResource(_ name: String) -> Bool {
    ["cpu", "memory", "ephemeral-storage"].contains(name) || name.hasPrefix("hugepages-")
  }

  private static func subscriptKey(_ path: String, of map: String) -> String? {
    guard path.hasPrefix(map + "['"), path.hasSuffix("']") else { return nil }
    return String(path.dropFirst(map.count + 2).dropLast(2))
  }

  private static func lines(_ map: [String: String]?) -> String {
    (map ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\(GoQuote.quote($0.value))" }.joined(separator: "\n")
  }
}

public enum DownwardAPIError: Error, Sendable, CustomStringConvertible {
  case unsupportedField(String)
  case unsupportedResource(String)

  public var description: String {
    switch self {
    case .unsupportedField(let path):
      "unsupported fieldPath \"\(path)\"; allowed are metadata.name, metadata.namespace, metadata.uid, metadata.labels, "
        + "metadata.annotations, spec.nodeName, spec.serviceAccountName, status.hostIP, status.hostIPs, status.podIP, status.podIPs"
    case .unsupportedResource(let name):
      "unsupported resource \"\(name)\"; allowed are limits and requests of cpu, memory, ephemeral-storage and hugepages-<size>"
    }
  }
}

/// Text in double quotes, as Go's strconv.Quote writes it.
public enum GoQuote {
  public static func quote(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case "\u{07}": quoted += "\\a"
      case "\u{08}": quoted += "\\b"
      case "\u{0C}": quoted += "\\f"
      case "\n": quoted += "\\n"
      case "\r": quoted += "\\r"
      case "\t": quoted += "\\t"
      case "\u{0B}": quoted += "\\v"
      case _ where scalar.value < 0x20 || scalar.value == 0x7F:
        let hex = String(scalar.value, radix: 16)
        quoted += "\\x" + (hex.count == 1 ? "0" : "") + hex
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
