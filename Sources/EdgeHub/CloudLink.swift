import Core
import FoundationEssentials
import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import WebSocket

/// Keeps the connection to the cloud, and the certificate for it, for as long as it runs.
final class CloudLink: Sendable {
  private let configuration: EdgeHubConfiguration
  private let nodeName: String
  private let timing: HubTiming
  private let channel: ChannelContext
  private let enrollment: Enrollment
  private let status: HubStatus
  private let announcer: Announcer
  private let client: WebSocketClient
  private let logger: Logger
  private struct State {
    var session: Session?
    var isHurried = false
    var isFinishing = false
  }

  private let state = Mutex(State())

  init(
    configuration: EdgeHubConfiguration, nodeName: String, timing: HubTiming, channel: ChannelContext, enrollment: Enrollment,
    status: HubStatus, announcer: Announcer, group: any EventLoopGroup, logger: Logger
  ) {
    self.configuration = configuration
    self.nodeName = nodeName
    self.timing = timing
    self.channel = channel
    self.enrollment = enrollment
    self.status = status
    self.announcer = announcer
    self.logger = logger
    client = WebSocketClient(
      server: ServerAddress(configuration.websocket.server, standardPort: 10000), path: "/\(configuration.projectID)/\(nodeName)/events",
      headers: [("node_id", nodeName), ("project_id", configuration.projectID), ("ConnectionUse", "msg")],
      handshakeTimeout: Int(configuration.websocket.handshakeTimeout), writeDeadline: Int(configuration.websocket.writeDeadline),
      messageLimit: timing.messageLimit, group: group)
  }

  /// The open connection.
  var session: Session? { state.withLock { $0.session } }

  /// What is to be sent doesn't wait for the rate limit any more.
  func hurry() {
    state.withLock { state in
      state.isHurried = true
      return state.session
    }?.hurry()
  }

  /// No connection is made any more; the open one ends when what was submitted is sent.
  func finish() {
    state.withLock { state in
      state.isFinishing = true
      return state.session
    }?.finish()
  }

  private var isFinishing: Bool { state.withLock { $0.isFinishing } }

  /// Connects again and again until it is to finish, or the task is cancelled.
  func run() async {
    var isDoubtful = false
    let backoff = Delays(
      Backoff(initial: timing.reconnection, maximum: min(timing.longestWait, .seconds(2 * Int(configuration.heartbeat))), jitter: 0.25))
    while !isFinishing, !Task.isCancelled {
      let identity: NodeIdentity
      do {
        identity = try await cancelWhenGracefulShutdown { [isDoubtful] in
          try await self.enrollment.identity(isDoubtful: isDoubtful)
        }
      } catch { return }
      isDoubtful = await use(identity, backoff)
    }
  }

  /// Uses an identity until there is a newer one, which ends the connection with the old one.
  ///
  /// - Returns: whether something is wrong with certificates.
  private func use(_ identity: NodeIdentity, _ backoff: Delays) async -> Bool {
    await withTaskGroup(of: Bool.self) { tasks in
      tasks.addTask { await self.connect(identity, backoff) }
      tasks.addTask {
        await self.watch(identity)
        return false
      }
      let isDoubtful = await tasks.next() ?? false
      tasks.cancelAll()
      return isDoubtful
    }
  }

  // MARK: Connections

  /// Connects with an identity until it is to finish, or something is wrong with certificates.
  ///
  /// - Returns: whether something is wrong with certificates.
  private func connect(_ identity: NodeIdentity, _ backoff: Delays) async -> Bool {
    while !isFinishing, !Task.isCancelled {
      let mute = MuteWatch(limit: timing.muteLimit)
      do {
        let connection = try await cancelWhenGracefulShutdown {
          try await self.client.connect(identity.credentials) { mute.noteActivity() }
        }
        let began = ContinuousClock.now
        await use(connection, mute)
        // One that is closed at once again and again counts as a failure each time.
        if ContinuousClock.now - began >= .seconds(configuration.heartbeat) { backoff.reset() }
      } catch let error as ConnectionError {
        await note(error)
        if error.isAboutCertificates {
          await pause(backoff.next())
          return true
        }
      } catch { return false }
      if isFinishing { return false }
      await pause(backoff.next())
    }
    return false
  }

  private func use(_ connection: WebSocketConnection, _ mute: MuteWatch) async {
    let settings = Session.Settings(
      heartbeat: .seconds(configuration.heartbeat), messageQPS: Int(configuration.messageQPS),
      messageBurst: Int(configuration.messageBurst), muteLimit: timing.muteLimit)
    let session = Session(
      connection: connection, mute: mute, settings: settings, channel: channel, status: status, logger: logger)
    let (isHurried, isFinishing) = state.withLock { state in
      state.session = session
      return (state.isHurried, state.isFinishing)
    }
    if isHurried { session.hurry() }
    if isFinishing { session.finish() }
    status.connection.noteConnected()
    logger.info("connected to the cloud", metadata: ["server": "\(client.server)"])
    announcer.announce(.connected)
    let loss = await session.run()
    state.withLock { $0.session = nil }
    status.connection.noteDisconnected()
    announcer.announce(.disconnected)
    if let loss { status.connection.note(error: "\(loss)", logger: logger) } else { logger.info("connection to the cloud ended") }
  }

  private func note(_ error: ConnectionError) async {
    var text = "\(error)"
    if case .untrustedServer = error, let diagnosis = await enrollment.diagnosis() { text += "; \(diagnosis)" }
    status.connection.note(error: text, logger: logger)
  }

  private func pause(_ delay: Duration) async {
    try? await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
  }

  // MARK: The certificate's life

  /// Returns when there is a new certificate, or the task is cancelled.
  private func watch(_ identity: NodeIdentity) async {
    let schedule = CertificateSchedule(
      notBefore: identity.notBefore, notAfter: identity.notAfter, renews: configuration.rotateCertificates)
    var backoff = timing.renewal
    var warned: Int?
    while !Task.isCancelled {
      let now = Date.now
      if let days = schedule.warning(at: now), days != warned, days > 0 {
        warned = days
        logger.warning("the node's certificate ends within \(days) days", metadata: ["end": "\(identity.notAfter.rfc3339)"])
      }
      var pause = Duration.seconds(schedule.pause(at: now))
      // One that has ended proves nothing any more.
      if schedule.isDue(at: now), identity.notAfter > now {
        do {
          let renewed = try await enrollment.renewed(identity)
          logger.notice("the node has a new certificate", metadata: ["until": "\(renewed.notAfter.rfc3339)"])
          return
        } catch is CancellationError {
          return
        } catch {
          status.connection.note(error: "the node's certificate could not be renewed: \(error)", logger: logger)
          pause = min(pause, backoff.next())
        }
      }
      do { try await Task.sleep(for: pause) } catch { return }
    }
  }
}

/// Delays that outlive the identities they are used with.
private final class Delays: Sendable {
  private let backoff: Mutex<Backoff>

  init(_ backoff: Backoff) { self.backoff = Mutex(backoff) }

  func next() -> Duration { backoff.withLock { $0.next() } }
  func reset() { backoff.withLock { $0.reset() } }
}
