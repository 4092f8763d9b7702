import HTTPServer
import X509

/// Who may look into pods: clients on this host, and clients on others that show a certificate of the right authority.
///
/// An authority that signs nodes' certificates too, as KubeEdge's does, doesn't let one node look into another. A browser on this host is
/// no client of its own: whatever page is open in it could speak through it.
struct ClientAccess: Sendable {
  /// Whether other hosts are served over TLS.
  let servesOtherHosts: Bool
  let browsers: BrowserGuard

  /// The organisation of nodes.
  private static let nodes = "system:nodes"

  /// - Parameter nodeName: of this node.
  init(servesOtherHosts: Bool, nodeName: String) {
    self.servesOtherHosts = servesOtherHosts
    browsers = BrowserGuard(nodeName: nodeName)
  }

  /// Why it may not; nil if it may.
  func refusal(of request: ServerRequest) -> ServerError? {
    request.peer.isOnThisHost ? browsers.refusal(of: request) : refusal(of: request.peer)
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
