import Core
import Logging
import NIOCore
import Synchronization
import WebSocket

/// The messages over one connection, both ways, from its opening to its end.
final class Session: Sendable {
  /// Messages that wait here for the rate limit. More wait in the module's mailbox, and then acknowledgements wait behind them: it is far
  /// more than a node has to say at a time.
  static let queueCapacity = 8192
  /// EventBus keeps the rest.
  static let uploadCapacity = 1024

  /// Messages that are given to the network together, at most. It has the same time for all as for one: together they are no more than what
  /// one alone may be.
  private static let batchCount = 64
  private static let batchBytes = 16 << 10

  struct Settings: Sendable {
    var heartbeat: Duration
    var messageQPS: Int
    var messageBurst: Int
    /// How long a cloud that was asked may say nothing.
    var muteLimit: Duration
  }

  private enum Ending: Sendable {
    case lost(ConnectionError)
    /// Everything was sent, and no more comes.
    case drained
    case readingStopped
    case cancelled
  }

  private let connection: WebSocketConnection
  private let settings: Settings
  private let channel: ChannelContext
  private let delivery: Delivery
  private let mute: MuteWatch
  private let status: HubStatus
  private let queue = MessageQueue(capacity: queueCapacity)
  /// Events tell people what happened; they must not keep the cloud from knowing how pods are.
  private let events = MessageQueue(capacity: queueCapacity)
  /// What devices say shares the limit with the others: neither makes the other wait for long.
  private let uploads = MessageQueue(capacity: uploadCapacity)
  private let limit: RateLimit
  /// Events get at most half of what may be sent.
  private let eventLimit: RateLimit
  private let requests = OpenRequests()

  init(
    connection: WebSocketConnection, mute: MuteWatch, settings: Settings, channel: ChannelContext, status: HubStatus, logger: Logger
  ) {
    self.connection = connection
    self.mute = mute
    self.settings = settings
    self.channel = channel
    self.status = status
    limit = RateLimit(rate: settings.messageQPS, burst: settings.messageBurst)
    eventLimit = RateLimit(
      rate: settings.messageQPS == 0 ? 0 : max(1, settings.messageQPS / 2), burst: max(1, settings.messageBurst / 2))
    delivery = Delivery(channel: channel, status: status, logger: logger)
  }

  // MARK: From the module's mailbox

  /// Takes a message for the cloud, waiting while there are too many.
  ///
  /// - Returns: false if the connection has ended.
  func submit(_ message: Message) async -> Bool {
    // The cloud sends its next message when it has the acknowledgement of the last one: these pass all that wait.
    if message.operation == .response { return await send(message) == nil }
    if ObjectKey.type(ofResource: message.resource) == "event" { return await events.put(message) }
    if message.isDeviceUpload { return await uploads.put(message) }
    if message.header.sync, !requests.add(message) { return false }
    if await queue.put(message) { return true }
    return !(message.header.sync ? requests.remove(message.id) : true)
  }

  /// From now on messages don't wait for the rate limit.
  func hurry() {
    limit.lift()
    eventLimit.lift()
  }

  /// Nothing more is received, and no more comes to be sent; `run` returns when what was submitted is gone.
  func finish() {
    connection.stopReceiving()
    queue.finish()
    events.finish()
    uploads.finish()
  }

  // MARK: Running

  /// Runs until the connection ends, or is to end.
  ///
  /// - Returns: why, if it was lost.
  func run() async -> ConnectionError? {
    let loss = await withTaskGroup(of: Ending.self) { tasks in
      tasks.addTask { await self.read() }
      tasks.addTask { await self.write() }
      tasks.addTask { await self.keepAlive() }
      tasks.addTask {
        await self.mute.run()
        return Task.isCancelled ? .cancelled : .lost(.mute(seconds: Int(self.settings.muteLimit.components.seconds)))
      }
      var loss: ConnectionError?
      for await ending in tasks {
        if case .readingStopped = ending { continue }
        if case .lost(let error) = ending { loss = error }
        break
      }
      tasks.cancelAll()
      await connection.close(loss ?? .ended)
      return loss
    }
    answerOpenRequests(loss)
    for upload in uploads.close() { await Self.giveBack(upload, channel, status, "\(loss ?? .ended)") }
    return loss
  }

  private func answerOpenRequests(_ loss: ConnectionError?) {
    let left = (queue.close() + events.close()).count { !$0.header.sync }
    if left > 0 { status.noteDropped(left) }
    for request in requests.close() { Self.refuse(request, channel, "\(loss ?? .ended)") }
  }

  /// Answers a request that the cloud will not answer.
  static func refuse(_ request: Message, _ channel: ChannelContext, _ reason: String) {
    let error = MetadataError(.offline, reason)
    channel.respond(to: request, with: .reply(to: request, from: .websocket, operation: .error, content: error.content))
  }

  /// Gives a device's message that can't be sent back to EventBus, which keeps it.
  static func giveBack(_ upload: Message, _ channel: ChannelContext, _ status: HubStatus, _ reason: String) async {
    let back = Message(
      header: .init(parentID: upload.id),
      route: .init(
        source: ModuleName.websocket.rawValue, group: ModuleGroup.bus.rawValue, operation: .error, resource: upload.resource),
      content: upload.content)
    // Also when this task is cancelled.
    let isBack = await Task { (try? await channel.send(back, to: .eventBus)) != nil }.value
    if !isBack { status.noteDropped() }
    if upload.header.sync { refuse(upload, channel, reason) }
  }

  private func read() async -> Ending {
    do throws(ConnectionError) {
      while let bytes = try await connection.receive() {
        status.noteReceived()
        mute.note(delivering: true)
        await delivery.deliver(bytes) { requests.remove($0) }
        mute.note(delivering: false)
      }
      return Task.isCancelled ? .cancelled : .readingStopped
    } catch {
      return .lost(error)
    }
  }

  /// Sends until both queues are empty and no more comes.
  private func write() async -> Ending {
    await withTaskGroup(of: Ending.self) { tasks in
      tasks.addTask { await self.write(self.queue, within: [self.limit]) }
      tasks.addTask { await self.write(self.events, within: [self.eventLimit, self.limit]) }
      tasks.addTask { await self.write(self.uploads, within: [self.limit]) }
      for await ending in tasks {
        if case .drained = ending { continue }
        tasks.cancelAll()
        return ending
      }
      return .drained
    }
  }

  private func write(_ queue: MessageQueue, within limits: [RateLimit]) async -> Ending {
    while let message = await queue.next() {
      for limit in limits {
        guard await limit.turn() else {
          if message.isDeviceUpload {
            await Self.giveBack(message, channel, status, "the connection ends")
          } else if !message.header.sync {
            status.noteDropped()
          }
          return .cancelled
        }
      }
      let batch = [message] + followers(of: message, in: queue, within: limits)
      if let error = await send(batch) {
        for message in batch where message.isDeviceUpload { await Self.giveBack(message, channel, status, "\(error)") }
        return .lost(error)
      }
      for message in batch where message.header.sync { noteSent(message) }
    }
    return Task.isCancelled ? .cancelled : .drained
  }

  /// What waits and may go at once goes together with a message.
  private func followers(of message: Message, in queue: MessageQueue, within limits: [RateLimit]) -> [Message] {
    // A turn of one limit would be lost if the other has none.
    guard limits.count == 1 else { return [] }
    var followers: [Message] = []
    var size = message.content.count
    while followers.count + 1 < Self.batchCount,
      let next = queue.next(if: { size + $0.content.count <= Self.batchBytes && limits[0].turnIsNow() })
    {
      size += next.content.count
      followers.append(next)
    }
    return followers
  }

  /// What devices say, and what answers the cloud, has no answer itself: who sent it only waits until it is gone, and what came before it.
  private func noteSent(_ request: Message) {
    guard request.operation == .upload, request.isDeviceUpload || !request.parentID.isEmpty else { return mute.noteRequest() }
    if request.isDeviceUpload || requests.remove(request.id) {
      channel.respond(to: request, with: .reply(to: request, from: .websocket))
    }
  }

  private func keepAlive() async -> Ending {
    while true {
      let route = Message.Route(source: ModuleName.websocket.rawValue, group: "resource", operation: .keepalive, resource: "node")
      if let error = await send(Message(route: route, content: Array("\"ping\"".utf8))) { return .lost(error) }
      do { try await Task.sleep(for: settings.heartbeat) } catch { return .cancelled }
    }
  }

  private func send(_ message: Message) async -> ConnectionError? { await send([message]) }

  private func send(_ messages: [Message]) async -> ConnectionError? {
    let counted = messages.count { $0.operation != .keepalive }
    do throws(ConnectionError) {
      try await connection.send(messages.map { ByteBuffer(bytes: $0.withoutSync.wire) })
      if counted > 0 { status.noteSent(counted) }
      return nil
    } catch {
      let dropped = messages.count { $0.operation != .keepalive && !$0.isDeviceUpload }
      if dropped > 0 { status.noteDropped(dropped) }
      return error
    }
  }
}

extension Message {
  /// What a device says to the cloud; with `sync` EventBus asks to be told when it is sent.
  var isDeviceUpload: Bool { operation == .upload && route.source == "bus" }

  /// `sync` is only meant for inside the process.
  var withoutSync: Message {
    guard header.sync else { return self }
    var message = self
    message.header.sync = false
    return message
  }
}
