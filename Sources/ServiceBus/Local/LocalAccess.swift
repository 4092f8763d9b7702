import Core
import HTTPServer

/// Who may speak to the cloud through this node: programs on it, and those on other hosts if the listener is there for them.
struct LocalAccess: Sendable {
  private let servesOtherHosts: Bool
  private let browsers: BrowserGuard

  init(_ configuration: ServiceBusConfiguration, nodeName: String) {
    servesOtherHosts = configuration.server != "localhost" && !NodeAddress.isLoopback(configuration.server)
    browsers = BrowserGuard(nodeName: nodeName, checksHost: configuration.tlsCertFile.isEmpty)
  }

  /// Why it may not; nil if it may.
  func refusal(of request: ServerRequest) -> ServerError? {
    guard servesOtherHosts || request.peer.isOnThisHost else {
      return ServerError(status: 403, message: "this is only served to clients on the node itself")
    }
    return browsers.refusal(of: request)
  }
}
