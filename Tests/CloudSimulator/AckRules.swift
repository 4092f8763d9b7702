import Core
import YAML

/// Which messages to a node have to be acknowledged.
enum AckRules {
  private static let freeParts = ["podlist", "membership", "twin/cloud_updated", "serviceaccounttoken", "k8s/ca.crt"]
  private static let freeTypes: Set<String> = ["lease", "nodepatch", "podpatch", "podstatus", "certificatesigningrequest"]

  /// - Parameter content: the message's content.
  static func needsAck(_ message: Message, content: JSONValue) -> Bool {
    let route = message.route
    // Parts of the whole path, so that an object which merely has such a name isn't acknowledged either.
    if freeParts.contains(where: route.resource.contains) || isVolumeOperation(route.resource) { return false }
    if route.operation == .applicationResponse || route.group == "user" { return false }
    if ["taskmanager", "nodeupgradejobcontroller"].contains(route.source) { return false }
    if route.operation == .response, content == .string("OK") || content["ErrStatus"] != nil { return false }
    if route.source == "edgecontroller" {
      let type = ObjectKey.type(ofResource: route.resource) ?? ""
      if type == "node", route.operation != .update { return false }
      if freeTypes.contains(type) || type == "pod" && route.operation == .response { return false }
    }
    return true
  }

  static func isVolumeOperation(_ resource: String) -> Bool {
    let parts = resource.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count >= 3 && parts[1] == "volume" && parts[0].first.map { $0.isLetter || $0.isNumber || $0 == "_" } == true
      && parts[2].first.map { $0.isLetter || $0.isNumber || $0 == "_" } == true
  }
}
