import Core
import Logging
import NIOCore
import ServiceLifecycle
import WebSocket

/// Keeps a tunnel to the cloud for as long as it runs.
final class TunnelLink: Sendable {
  private static let path = "/v1/kubeedge/connect"
  /// Beyond what is under way: on a slow line, a few seconds at most.
  private static let unsentLimit = 64 << 10

  private let configuration: EdgeStreamConfiguration
  private let nodeName: String
  private let nodeAddress: @Sendable () -> String?
  private let files: TunnelFiles
  private let api: NodeAPI
  private let limits: TunnelLimits
  private let status: TunnelStatus
  private let registration: Registration
  private let group: any EventLoopGroup
  private let logger: Logger

  init(
    configuration: EdgeStreamConfiguration, nodeName: String, nodeAddress: @escaping @Sendable () -> String?, api: NodeAPI,
    limits: TunnelLimits, status: TunnelStatus, registration: Registration, group: any EventLoopGroup, logger: Logger
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.nodeAddress = nodeAddress
    files = TunnelFiles(configuration)
    self.api = api
    self.limits = limits
    self.status = status
    self.registration = registration
    self.group = group
    self.logger = logger
  }

  /// Connects again and again until it is asked to stop, or the task is cancelled.
  ///
  /// - Parameter hints: that the node may have got its certificate.
  func run(_ hints: Hints) async {
    var backoff = limits.reconnection
    var node: String?
    var patience = limits.registration
    while !isStopping {
      do {
        let credentials = try files.load()
        node = await waitForNode(atMost: patience, settled: node)
        patience = .zero
        if isStopping { return }
        let began = ContinuousClock.now
        try await use(credentials, node)
        if ContinuousClock.now - began >= limits.healthyAfter { backoff.reset() }
      } catch let failure as TunnelFiles.Failure {
        status.connection.note(error: "the tunnel waits for the node's certificate: \(failure)", logger: logger)
        if failure.isMissing {
          await hints.wait(atMost: limits.certificateSearch)
          continue
        }
      } catch let error as ConnectionError {
        status.connection.note(error: "the tunnel can't be opened: \(error)", logger: logger)
      } catch { return }
      if isStopping { return }
      let delay = backoff.next()
      try? await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
    }
  }

  /// Waits until the cloud is likely to have the Node, and to be left alone with it.
  ///
  /// - Parameter settled: the UID of the Node that this was waited for before.
  /// - Returns: the Node's UID if it is known.
  private func waitForNode(atMost limit: Duration, settled: String?) async -> String? {
    await cancelWhenGracefulShutdown { [registration, limits] in
      await registration.wait(atMost: limit)
      if let uid = registration.uid, uid != settled { try? await Task.sleep(for: limits.settling) }
    }
    return registration.uid
  }

  private var isStopping: Bool { Task.isCancelled || Task.isShuttingDownGracefully }

  /// Runs one tunnel.
  ///
  /// - Throws: `ConnectionError` if it can't be opened; `CancellationError`.
  private func use(_ credentials: ClientCredentials, _ node: String?) async throws {
    let activity = Tunnel.Activity()
    var headers = [("SessionHostNameOverride", nodeName)]
    if let address = nodeAddress() { headers.append(("SessionInternalIP", address)) }
    let client = WebSocketClient(
      server: ServerAddress(configuration.server, standardPort: 10004), path: Self.path, headers: headers,
      handshakeTimeout: Int(configuration.handshakeTimeout), writeDeadline: Int(configuration.writeDeadline),
      messageLimit: limits.message, checksServerName: false, unsentLimit: Self.unsentLimit, group: group)
    let connection = try await cancelWhenGracefulShutdown { try await client.connect(credentials) { activity.note() } }
    activity.begin()
    status.connection.noteConnected()
    logger.info("the tunnel to the cloud is open", metadata: ["server": "\(client.server)"])
    let tunnel = Tunnel(
      connection: connection, activity: activity, api: api, limits: limits, status: status, registration: registration, logger: logger)
    let ending = await tunnel.run(for: node)
    status.connection.noteDisconnected()
    switch ending {
    case .lost(let error): status.connection.note(error: "the tunnel was lost: \(error)", logger: logger)
    case .closed(let words): status.connection.note(error: "the cloud has ended the tunnel: \"\(words)\"", logger: logger)
    case .outdated: logger.info("the cloud has a new Node for this one; the tunnel is opened again")
    case .stopped: logger.info("the tunnel to the cloud is closed")
    }
  }
}

/// Wakes who waits for something that may have happened.
final class Hints: Sendable {
  private let stream: AsyncStream<Void>
  private let continuation: AsyncStream<Void>.Continuation

  init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

  func give() { continuation.yield() }

  /// Waits for a hint; returns early when the task is cancelled or the service is asked to stop, and from then on at once.
  func wait(atMost limit: Duration) async {
    let timer = Task { [continuation] in
      try? await Task.sleep(for: limit)
      // A stream doesn't survive that its reader is cancelled.
      if !Task.isCancelled { continuation.yield() }
    }
    defer { timer.cancel() }
    await cancelWhenGracefulShutdown { [stream] in
      for await _ in stream { return }
    }
  }
}
