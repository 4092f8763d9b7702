import YAML

/// The key under which a service account's token is stored, as KubeEdge writes it: what was asked for, in Go's syntax.
struct TokenKey: Sendable, Hashable {
  static let type = "serviceaccounttoken"

  var text: String
  /// Seconds that the token was asked to be good for.
  var expirationSeconds: Int64

  /// - Parameter request: a TokenRequest.
  init?(namespace: String, serviceAccount: String, request: [UInt8]) {
    guard let spec = (try? JSONValue(json: request))?["spec"] else { return nil }
    let audiences = spec["audiences"]?.array?.compactMap(\.string) ?? []
    let list = audiences.isEmpty ? "[]string(nil)" : "[]string{\(audiences.map(Self.quoted).joined(separator: ", "))}"
    expirationSeconds = spec["expirationSeconds"]?.int ?? 3600
    var reference = "v1.BoundObjectReference{Kind:\"\", APIVersion:\"\", Name:\"\", UID:\"\"}"
    if let bound = spec["boundObjectRef"], bound != .null {
      func field(_ key: String) -> String { Self.quoted(bound[key]?.string ?? "") }
      reference =
        "v1.BoundObjectReference{Kind:\(field("kind")), APIVersion:\(field("apiVersion")), Name:\(field("name")), UID:\(field("uid"))}"
    }
    text = "\(Self.quoted(serviceAccount))/\(Self.quoted(namespace))/\(list)/\(expirationSeconds)/\(reference)"
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
  }
}
