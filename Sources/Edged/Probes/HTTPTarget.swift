import FoundationEssentials
import KubernetesAPI

/// Where an `httpGet` of a probe or a hook goes.
struct HTTPTarget: Sendable, Hashable {
  var url: URL

  /// - Parameter defaultPort: taken when the action gives none; nil makes that an error.
  init(_ action: HTTPGetAction, container: Container, podIPs: [String], defaultPort: Int? = nil) throws {
    let port: Int
    if let defaultPort, action.port == .int(0) || action.port == .string("") {
      port = defaultPort
    } else {
      port = try PortLookup.number(of: action.port, in: container)
    }
    let given = action.host ?? ""
    guard let host = given.isEmpty ? podIPs.first : given else { throw PortLookupError.noAddress }
    let scheme = (action.scheme ?? "").isEmpty ? "http" : (action.scheme ?? "").lowercased()
    let path = action.path ?? ""
    let text = "\(scheme)://\(Self.bracketed(host)):\(port)" + (path.hasPrefix("/") ? path : "/" + path)
    guard let url = URL(string: text), url.host() != nil else { throw HTTPTargetError.invalidURL(text) }
    self.url = url
  }

  /// An IPv6 address stands in brackets.
  static func bracketed(_ host: String) -> String {
    host.utf8.contains(UInt8(ascii: ":")) && !host.hasPrefix("[") ? "[\(host)]" : host
  }
}

enum HTTPTargetError: Error, Sendable, CustomStringConvertible {
  case invalidURL(String)

  var description: String {
    switch self {
    case .invalidURL(let text): "\"\(text.prefix { $0 != "?" })\" is no URL"
    }
  }
}
