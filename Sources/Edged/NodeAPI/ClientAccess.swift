import Glibc
import HTTPServer
import X509

/// Who may look into pods: clients on this host, and clients on others that show a certificate of the right authority.
///
/// An authority that signs nodes' certificates too, as KubeEdge's does, doesn't let one node look into another. A browser on this host is
/// no client of its own: whatever page is open in it could speak through it.
struct ClientAccess: Sendable {
  /// Whether other hosts are served over TLS.
  let servesOtherHosts: Bool
  /// Names of this host.
  let hostNames: Set<String>

  /// The organisation of nodes.
  private static let nodes = "system:nodes"

  /// - Parameter nodeName: of this node.
  init(servesOtherHosts: Bool, nodeName: String) {
    self.servesOtherHosts = servesOtherHosts
    hostNames = ["localhost", nodeName.lowercased()]
  }

  /// Why it may not; nil if it may.
  func refusal(of request: ServerRequest) -> ServerError? {
    request.peer.isOnThisHost ? refusalOfBrowser(request) : refusal(of: request.peer)
  }

  /// Browsers say which page a request is from, and by what name they looked the server up: any page can have one that leads to loopback.
  private func refusalOfBrowser(_ request: ServerRequest) -> ServerError? {
    if request.header("Origin") != nil || request.header("Sec-Fetch-Site").map({ $0 != "none" }) ?? false {
      return ServerError(status: 403, message: "this is not served to web pages")
    }
    guard let host = request.header("Host").map(Self.name) else { return nil }
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

  private func refusal(of peer: ServerRequest.Peer) -> ServerError? {
    guard servesOtherHosts else { return ServerError(status: 403, message: "this is only served to clients on the node itself") }
    guard let bytes = peer.certificate else {
      return ServerError(status: 401, message: "this is only served to clients with a certificate of authentication.x509.clientCAFile")
    }
    guard let certificate = try? Certificate(derEncoded: bytes) else {
      return ServerError(status: 401, message: "the client's certificate can't be read")
    }
    let organisations = certificate.subject.lazy.flatMap { $0 }.filter { $0.type == .RDNAttributeType.organizationName }
    guard !organisations.contains(where: { String($0.value) == Self.nodes }) else {
      return ServerError(status: 403, message: "this is not served to nodes: the client's certificate is of \(Self.nodes)")
    }
    return nil
  }
}
