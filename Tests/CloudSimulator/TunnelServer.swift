import NIOCore
import NIOHTTP1
import NIOWebSocket

/// Where nodes open their tunnels.
enum TunnelServer {
  private static let path = "/v1/kubeedge/connect"
  private static let frameLimit = 1 << 24

  static func setUp(_ channel: any Channel, tunnels: Tunnels, faults: LinkFaults) throws {
    let refusal = WebSocketRefusal()
    let upgrader = NIOWebSocketServerUpgrader(
      maxFrameSize: frameLimit,
      shouldUpgrade: { channel, head in
        let isWanted = head.uri == path && WebSocketRefusal.refusal(of: head) == nil
        return channel.eventLoop.makeSucceededFuture(isWanted ? HTTPHeaders() : nil)
      },
      upgradePipelineHandler: { channel, head in
        channel.eventLoop.makeCompletedFuture { try start(channel, head, tunnels, faults) }
      })
    let removal = NIOLoopBound(refusal, eventLoop: channel.eventLoop)
    try channel.pipeline.syncOperations.configureHTTPServerPipeline(
      withServerUpgrade: (
        upgraders: [upgrader], completionHandler: { $0.pipeline.syncOperations.removeHandler(removal.value, promise: nil) }
      ))
    try channel.pipeline.syncOperations.addHandler(refusal)
  }

  private static func start(_ channel: any Channel, _ head: HTTPRequestHead, _ tunnels: Tunnels, _ faults: LinkFaults) throws {
    let name = head.headers.first(name: "SessionHostNameOverride") ?? ""
    let address = head.headers.first(name: "SessionInternalIP") ?? channel.remoteAddress?.ipAddress ?? ""
    let tunnel = TunnelOfNode(name: name, address: address, channel: channel)
    try channel.pipeline.syncOperations.addHandler(
      WebSocketHandler(
        takesOnlyTexts: true, onText: { tunnel.received($0) },
        onPing: { payload in
          tunnels.pinged(String(decoding: payload.readableBytesView, as: UTF8.self), by: tunnel)
          return !faults.isMute
        }, onEnd: { tunnels.disconnected(tunnel) }))
    tunnels.connected(tunnel)
  }
}
