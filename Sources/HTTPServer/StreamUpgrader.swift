import NIOCore
import NIOHTTP1

/// Accepts `Upgrade: edgecore-stream` on any path; whether the path takes streams is decided by its route afterwards.
struct StreamUpgrader<Connection: Sendable>: NIOTypedHTTPServerProtocolUpgrader {
  typealias UpgradeResult = Connection

  let supportedProtocol = HTTPServer.streamProtocol
  let requiredUpgradeHeaders: [String] = []
  let makeConnection: @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<Connection>

  init(_ makeConnection: @escaping @Sendable (any Channel, HTTPRequestHead) -> EventLoopFuture<Connection>) {
    self.makeConnection = makeConnection
  }

  func buildUpgradeResponse(
    channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
  ) -> EventLoopFuture<HTTPHeaders> {
    channel.eventLoop.makeSucceededFuture(initialResponseHeaders)
  }

  func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Connection> {
    makeConnection(channel, upgradeRequest)
  }
}
