import Glibc

/// Keeps web pages that are open in a browser on this host from speaking to servers that trust this host.
///
/// Browsers say which page a request is from, and by what name they looked the server up: any page can have one that leads to loopback.
public struct BrowserGuard: Sendable {
  private let hostNames: Set<String>
  private let checksHost: Bool

  /// - Parameters:
  ///   - nodeName: a name of this host, beside `localhost` and all addresses.
  ///   - checksHost: false where the server's certificate ties its names.
  public init(nodeName: String, checksHost: Bool = true) {
    hostNames = ["localhost", nodeName.lowercased()]
    self.checksHost = checksHost
  }

  /// Why the request isn't answered; nil if it is.
  public func refusal(of request: ServerRequest) -> ServerError? {
    if request.header("Origin") != nil || request.header("Sec-Fetch-Site").map({ $0 != "none" }) ?? false {
      return ServerError(status: 403, message: "this is not served to web pages")
    }
    let hosts = request.headerValues("Host")
    guard hosts.count <= 1 else { return .badRequest("the request has more than one Host") }
    guard checksHost, let host = hosts.first.map(Self.name) else { return nil }
    guard Self.isAddress(host) || hostNames.contains(host.lowercased()) else {
      return ServerError(
        status: 403, message: "this is served under the node's address, localhost or the node's name, not under the Host of the request")
    }
    return nil
  }

  /// The host of `host:port`, without an IPv6 address' brackets.
  private static func name(_ authority: String) -> String {
    if authority.hasPrefix("[") { return String(authority.dropFirst().prefix { $0 != "]" }) }
    return String(authority.prefix { $0 != ":" })
  }

  private static func isAddress(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1
  }
}
