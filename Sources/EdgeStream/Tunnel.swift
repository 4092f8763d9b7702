import Logging
import NIOCore
import ServiceLifecycle
import Synchronization
import WebSocket

/// One tunnel to the cloud, from its opening to its end, with the sessions in it.
final class Tunnel: Sendable {
  enum Ending: Sendable {
    case lost(ConnectionError)
    /// The cloud has ended it, in these words.
    case closed(String)
    /// It was opened for a Node that the cloud has replaced since.
    case outdated
    /// This side was asked to end.
    case stopped
  }

  /// When the cloud was last heard.
  final class Activity: Sendable {
    private let state = Mutex((last: ContinuousClock.now, isHeard: false))

    /// The tunnel is open.
    func begin() { state.withLock { $0 = (.now, false) } }
    func note() { state.withLock { $0 = (.now, true) } }
    var silence: Duration { ContinuousClock.now - state.withLock { $0.last } }
    /// Whether the cloud has said anything yet in the open tunnel.
    var isHeard: Bool { state.withLock { $0.isHeard } }
  }

  static let pingText = "ping you"

  let api: NodeAPI
  let limits: TunnelLimits
  let logger: Logger
  private let connection: WebSocketConnection
  private let activity: Activity
  private let status: TunnelStatus
  private let registration: Registration
  private let turns = Turns()
  private let meter = BacklogMeter()
  private let sessions = Mutex<[UInt64: StreamSession]>([:])
  /// Tasks that only refuse a session.
  private let refusals = Atomic<Int>(0)
  private let hasComplained = Atomic<Bool>(false)

  init(
    connection: WebSocketConnection, activity: Activity, api: NodeAPI, limits: TunnelLimits, status: TunnelStatus,
    registration: Registration, logger: Logger
  ) {
    self.connection = connection
    self.activity = activity
    self.api = api
    self.limits = limits
    self.status = status
    self.registration = registration
    self.logger = logger
  }

  // MARK: Life

  /// Runs until the tunnel has ended and everything in it is gone.
  ///
  /// - Parameter node: the UID of the Node that it was opened for.
  func run(for node: String?) async -> Ending {
    await withTaskGroup(of: Ending?.self) { tasks in
      tasks.addTask { await self.serve() }
      tasks.addTask { await self.keepAlive() }
      tasks.addTask { await self.stop() }
      tasks.addTask {
        await self.untilOutdated(node)
        return .outdated
      }
      let ending = await tasks.next() ?? nil
      if case .lost(let reason)? = ending { await connection.close(reason) } else { await connection.close() }
      tasks.cancelAll()
      return ending ?? .stopped
    }
  }

  private func keepAlive() async -> Ending? {
    while true {
      connection.ping(Self.pingText)
      do { try await Task.sleep(for: limits.ping) } catch { return nil }
      let patience = activity.isHeard ? limits.mute : limits.preparation
      if activity.silence > patience { return .lost(.mute(seconds: Int(patience.components.seconds))) }
    }
  }

  /// Returns when the cloud has another Node than the one in which it has noted where the tunnel ends.
  private func untilOutdated(_ node: String?) async {
    var node = node
    while !Task.isCancelled {
      await registration.change(from: node)
      if activity.isHeard { return }
      // It still looks for the Node, and will find the new one. Left alone now, it would take this tunnel for the newest when it has.
      node = registration.uid
    }
  }

  /// Returns when the time is up that sessions have to say that they end.
  private func stop() async -> Ending? {
    guard (try? await gracefulShutdown()) != nil else { return nil }
    connection.stopReceiving()
    try? await Task.sleep(for: limits.goodbye)
    return .stopped
  }

  // MARK: From the cloud

  /// Reads until the tunnel ends; returns when all sessions have ended.
  private func serve() async -> Ending {
    await withDiscardingTaskGroup { tasks in
      var ending = Ending.stopped
      var pace = Pace()
      reading: while true {
        let bytes: [UInt8]
        do throws(ConnectionError) {
          guard let message = try await connection.receive() else { break }
          bytes = message
        } catch {
          ending = .lost(error)
          break
        }
        guard let frame = TunnelFrame(bytes) else {
          complain("a message that can't be understood")
          continue
        }
        switch frame.kind {
        case .data:
          if let session = session(frame.session), session.deliver(frame.payload) { await session.waitForRoom() }
          if !connection.hasMessages { await pace.keep() }
        case .remove:
          guard let session = session(frame.session), session.remove(), session.kind.isCommand else { continue }
          // Of commands the cloud repeats it without a pause until it is told the same.
          tasks.addTask { await self.send(session.id, .remove) }
        case .close:
          ending = .closed(String(decoding: frame.payload.prefix(1024), as: UTF8.self))
          break reading
        case .logs, .metrics, .exec, .attach:
          if let session = open(frame) {
            tasks.addTask { await self.serve(session, frame.payload) }
          } else if refusals.wrappingAdd(1, ordering: .relaxed).newValue <= limits.sessions {
            tasks.addTask { await self.refuse(frame) }
          } else {
            refusals.wrappingSubtract(1, ordering: .relaxed)
          }
        }
        if meter.total > limits.totalBacklog { endGreediest() }
      }
      for session in sessions.withLock({ Array($0.values) }) { session.abort(nil) }
      tasks.cancelAll()
      return ending
    }
  }

  private func session(_ id: UInt64) -> StreamSession? { sessions.withLock { $0[id] } }

  /// - Returns: nil if there are too many sessions, or there is one of that number.
  private func open(_ frame: TunnelFrame) -> StreamSession? {
    let session = StreamSession(id: frame.session, kind: frame.kind, limits: limits, meter: meter)
    let isNew = sessions.withLock { sessions in
      guard sessions.count < limits.sessions, sessions[frame.session] == nil else { return false }
      sessions[frame.session] = session
      return true
    }
    return isNew ? session : nil
  }

  private func refuse(_ frame: TunnelFrame) async {
    defer { refusals.wrappingSubtract(1, ordering: .relaxed) }
    status.noteRefused()
    guard session(frame.session) == nil else { return complain("a session with a number that is in use") }
    logger.warning("a session was refused: there are \(limits.sessions), which is the most", metadata: ["kind": "\(frame.kind)"])
    if frame.kind == .logs { await send(frame.session, "the node serves \(limits.sessions) sessions, which is the most; try again later") }
    await send(frame.session, .remove)
  }

  private func endGreediest() {
    let all = sessions.withLock { Array($0.values) }
    all.max { $0.backlog < $1.backlog }?
      .abort("the node takes the data of all sessions too slowly: more than \(limits.totalBacklog) bytes wait")
  }

  private func complain(_ problem: String) {
    guard !hasComplained.exchange(true, ordering: .relaxed) else { return }
    logger.warning("the cloud sent \(problem) through the tunnel; more like that is not told")
  }

  // MARK: Sessions

  private func serve(_ session: StreamSession, _ json: ArraySlice<UInt8>) async {
    status.noteSessionBegan()
    logger.debug("session begins", metadata: ["kind": "\(session.kind)", "id": "\(session.id)"])
    let problem: String?
    do throws(StreamRequest.Refusal) {
      let request = try StreamRequest(json: json)
      problem = session.kind.isCommand ? await relay(session, request) : await fetch(session, request)
    } catch {
      status.noteRefused()
      problem = "the request is refused: \(error)"
    }
    let isRemoved = session.end == .removed
    let reason = session.problem ?? problem
    if let reason {
      logger.warning("session ended: \(reason)", metadata: ["kind": "\(session.kind)", "id": "\(session.id)"])
      if session.kind == .logs, !isRemoved { await send(session.id, reason) }
    } else {
      logger.debug("session ends", metadata: ["kind": "\(session.kind)", "id": "\(session.id)"])
    }
    session.close()
    sessions.withLock { _ = $0.removeValue(forKey: session.id) }
    status.noteSessionEnded()
    // What the cloud has removed it has forgotten, or was told before.
    if !isRemoved { await send(session.id, .remove) }
  }

  // MARK: To the cloud

  /// Sends what the node's end of a session said; the session's next bytes have to wait until this returns, so that each session has one
  /// message at a time among those that wait.
  ///
  /// - Returns: false if the tunnel has ended.
  func send(_ session: StreamSession, _ bytes: ByteBuffer) async -> Bool {
    var rest = bytes
    while let piece = rest.readSlice(length: min(rest.readableBytes, NodeAPI.chunkSize)), piece.readableBytes > 0 {
      // Nobody is there to hear it.
      if session.end != nil { return true }
      guard await send(session.id, .data, piece) else { return false }
    }
    return true
  }

  /// Words for people, who see nothing else: status and headers don't go through the tunnel.
  private func send(_ id: UInt64, _ words: String) async { _ = await send(id, .data, ByteBuffer(string: words + "\n")) }

  @discardableResult
  private func send(_ id: UInt64, _ kind: TunnelFrame.Kind, _ payload: ByteBuffer = ByteBuffer()) async -> Bool {
    await turns.take()
    defer { turns.pass() }
    do throws(ConnectionError) {
      try await connection.send(TunnelFrame.bytes(session: id, kind: kind, payload: payload))
      return true
    } catch {
      return false
    }
  }
}
