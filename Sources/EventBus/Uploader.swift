import Core
import LocalAPI
import Logging
import YAML

/// Hands what devices say to the connection to the cloud, in order, and keeps on the disk what can't go now.
///
/// Nobody who adds messages waits for the cloud: a connection that takes too little makes them go to the disk too. What is on the disk goes
/// first, before anything newer.
actor Uploader {
  struct Limits: Sendable {
    /// Messages that wait in memory.
    var queueCount = 2048
    var queueBytes = 4 << 20
    /// Messages that EdgeHub has at a time: more would only make others wait there.
    var batchCount = 128
    var batchBytes = 1 << 20
    /// How long who adds waits for room in memory before the disk is used.
    var patience: Duration = .milliseconds(250)
    /// Of a message's content as JSON, bytes.
    var uploadSize = 48 << 20
    /// After messages came back, how long until it is tried again.
    var pause: Duration = .seconds(1)
    /// For what EdgeHub has when the module stops.
    var stopLimit: Duration = .seconds(1)
  }

  private let channel: ChannelContext
  private let store: BusStore
  private let status: BusStatus
  private let limits: Limits
  private let logger: Logger

  private var queue: [Upload] = []
  private var queueBytes = 0
  private var isConnected = false
  /// Messages on the disk that have still to be sent, or on their way to it.
  private var stored = 0
  /// Messages that were sent and could not be taken from the disk.
  private var undeleted: Set<Int64> = []
  private var isStopping = false
  private var isRunning = false
  /// Ids of messages that EdgeHub could not send.
  private var returned: Set<String> = []
  private var fences: [String: CheckedContinuation<Void, Never>] = [:]
  private var readsMailbox = true
  private var waiters: [CheckedContinuation<Void, Never>] = []
  private var sending: [Upload] = []
  private var stopWaiter: CheckedContinuation<Void, Never>?
  private let signals: AsyncStream<Void>
  private let signal: AsyncStream<Void>.Continuation

  init(channel: ChannelContext, store: BusStore, status: BusStatus, limits: Limits, logger: Logger) {
    self.channel = channel
    self.store = store
    self.status = status
    self.limits = limits
    self.logger = logger
    (signals, signal) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: Coming in

  /// Takes messages of devices.
  func add(_ uploads: [Upload]) async {
    guard channel.isRegistered(.websocket) else {
      status.noteLost(uploads.count, .noCloud)
      status.bursts.note("no cloud", "a device's message for the cloud was dropped: modules.edgeHub is not enabled")
      return
    }
    let tooLarge = uploads.filter { $0.content.count > limits.uploadSize }
    for upload in tooLarge {
      status.noteLost(1, .tooLarge)
      status.bursts.note(
        "too large", "a device's message is too large for the cloud",
        ["topic": "\(upload.topic.prefix(256))", "bytes": "\(upload.content.count)", "limit": "\(limits.uploadSize)"])
    }
    let uploads = tooLarge.isEmpty ? uploads : uploads.filter { $0.content.count <= limits.uploadSize }
    if uploads.isEmpty { return }
    if isConnected, stored == 0, !hasRoom { await waitForRoom() }
    if isConnected, stored == 0, hasRoom, !isStopping {
      queue.append(contentsOf: uploads)
      queueBytes += uploads.reduce(0) { $0 + $1.size }
      signal.yield()
    } else {
      await keep(uploads, inFront: false)
      signal.yield()
    }
  }

  private var hasRoom: Bool { queue.count < limits.queueCount && queueBytes < limits.queueBytes }

  private func waitForRoom() async {
    let timer = Task {
      try await Task.sleep(for: limits.patience)
      releaseWaiters()
    }
    await withCheckedContinuation { waiters.append($0) }
    timer.cancel()
  }

  private func releaseWaiters() {
    let waiters = waiters
    self.waiters = []
    for waiter in waiters { waiter.resume() }
  }

  /// Puts messages on the disk. Those in memory are older than those that come now, and go before them.
  private func keep(_ uploads: [Upload], inFront: Bool) async {
    // Before anything is awaited: what is added meanwhile has to go behind these.
    stored += uploads.count
    do {
      let dropped = try await (inFront ? store.prepend(uploads) : store.append(uploads))
      note(dropped)
      status.noteStored(uploads.count)
      await deleteSent()
    } catch {
      status.bursts.note("disk", "devices' messages for the cloud can't be kept: \(error)")
      // What can go at once isn't lost with the disk.
      if isConnected, hasRoom, !isStopping {
        queue.insert(contentsOf: uploads, at: inFront ? 0 : queue.endIndex)
        queueBytes += uploads.reduce(0) { $0 + $1.size }
      } else {
        status.noteLost(uploads.count, .disk)
      }
    }
    await count()
  }

  private func note(_ dropped: BusStore.Dropped) {
    status.noteLost(dropped.bySize, .size)
    status.noteLost(dropped.byAge, .age)
    if dropped.bySize > 0 {
      status.bursts.note(
        "size", "the oldest of devices' messages for the cloud are dropped: modules.eventBus.offlineQueue.maxSize is reached")
    }
    if dropped.byAge > 0 {
      status.bursts.note("age", "devices' messages for the cloud are dropped: they are older than modules.eventBus.offlineQueue.maxAge")
    }
  }

  private func count() async {
    let state = await store.state
    stored = max(0, state.count - undeleted.count)
    status.note(waiting: state)
  }

  // MARK: From the mailbox

  func note(_ connection: CloudConnection) async {
    if connection == .connected, !isConnected, stored > 0 {
      logger.info("the cloud is back, devices' messages that waited are sent", metadata: ["waiting": "\(stored)"])
    }
    isConnected = connection == .connected
    signal.yield()
  }

  /// EdgeHub could not send a message.
  func noteReturned(_ id: String) { returned.insert(id) }

  func passFence(_ id: String) { fences.removeValue(forKey: id)?.resume() }

  /// Nobody reads the module's mailbox any more.
  func mailboxEnded() {
    readsMailbox = false
    for fence in fences.values { fence.resume() }
    fences = [:]
  }

  /// Waits until the mailbox is read up to here: what EdgeHub gave back is known then.
  private func fence() async {
    guard readsMailbox else { return }
    let id = MessageID.make()
    let marker = Message(
      header: .init(id: id), route: .init(source: ModuleName.eventBus.rawValue, operation: .stop, resource: Self.fenceResource))
    do { try await channel.send(marker, to: .eventBus) } catch { return }
    guard readsMailbox else { return }
    await withCheckedContinuation { continuation in fences[id] = continuation }
  }

  static let fenceResource = "eventbus/fence"

  // MARK: Going out

  /// Sends until the module stops.
  func run() async {
    isRunning = true
    await count()
    await askWhetherConnected()
    var iterator = signals.makeAsyncIterator()
    while await iterator.next(isolation: self) != nil {
      while !isStopping, !Task.isCancelled, await step() {}
      if isStopping || Task.isCancelled { break }
    }
    isRunning = false
    releaseWaiters()
    releaseStop()
  }

  /// Ends sending; what is not sent is on the disk when it returns.
  func stop() async {
    isStopping = true
    signal.yield()
    releaseWaiters()
    if isRunning {
      let limit = Task {
        try await Task.sleep(for: limits.stopLimit)
        releaseStop()
      }
      await withCheckedContinuation { stopWaiter = $0 }
      limit.cancel()
    }
    // What EdgeHub still has may be lost with the connection: it is sent again then, rather than lost.
    let left = sending + queue
    sending = []
    queue = []
    queueBytes = 0
    if left.isEmpty { await deleteSent() } else { await keep(left, inFront: true) }
    signal.finish()
  }

  private func releaseStop() {
    stopWaiter?.resume()
    stopWaiter = nil
  }

  /// Moves some messages; false if there is nothing to do now.
  private func step() async -> Bool {
    guard isConnected else {
      guard !queue.isEmpty else { return false }
      let older = queue
      queue = []
      queueBytes = 0
      releaseWaiters()
      await keep(older, inFront: true)
      return true
    }
    if !queue.isEmpty { return await sendFromMemory() }
    if stored > 0 { return await sendFromDisk() }
    return false
  }

  private func sendFromMemory() async -> Bool {
    var batch: [Upload] = []
    var size = 0
    for upload in queue {
      guard batch.count < limits.batchCount, batch.isEmpty || size + upload.size <= limits.batchBytes else { break }
      size += upload.size
      batch.append(upload)
    }
    queue.removeFirst(batch.count)
    queueBytes -= size
    sending = batch
    if hasRoom { releaseWaiters() }
    let unsent = await send(batch)
    // At a stop they are kept there.
    if sending.isEmpty { return false }
    sending = []
    if unsent.isEmpty { return true }
    await keep(unsent + takeQueue(), inFront: true)
    await recover()
    return true
  }

  private func takeQueue() -> [Upload] {
    defer {
      queue = []
      queueBytes = 0
    }
    return queue
  }

  private func sendFromDisk() async -> Bool {
    do {
      let (batch, sequences, droppedByAge) = try await store.first(
        limits.batchCount, bytes: limits.batchBytes, behind: undeleted.max())
      if droppedByAge > 0 { note(BusStore.Dropped(byAge: droppedByAge)) }
      guard !batch.isEmpty else {
        await count()
        return !queue.isEmpty
      }
      let unsent = Set(await send(batch).map(\.id))
      undeleted.formUnion(zip(batch, sequences).filter { !unsent.contains($0.0.id) }.map(\.1))
      await deleteSent()
      await count()
      if !unsent.isEmpty { await recover() }
      return true
    } catch {
      status.bursts.note("read", "devices' messages that wait for the cloud can't be read: \(error)")
      await recover()
      return true
    }
  }

  /// What can't be taken from the disk isn't sent again for that.
  private func deleteSent() async {
    if undeleted.isEmpty { return }
    let sent = undeleted
    do {
      try await store.delete(Array(sent))
      // Others may have been sent meanwhile.
      undeleted.subtract(sent)
    } catch {
      status.bursts.note("delete", "devices' messages that were sent can't be taken from the disk: \(error)")
    }
  }

  /// Hands messages to EdgeHub, and waits until the last of them is sent.
  ///
  /// - Returns: those that were not sent.
  private func send(_ batch: [Upload]) async -> [Upload] {
    guard let last = batch.last else { return [] }
    var handedOver = 0
    var unsent: Set<String> = []
    do {
      for upload in batch.dropLast() {
        try await channel.send(upload.message, to: .websocket)
        handedOver += 1
      }
      let answer = try await channel.request(last.message, to: .websocket, timeout: .seconds(600))
      handedOver += 1
      if answer.operation == .error { unsent.insert(last.id) }
    } catch {
      unsent.formUnion(batch[handedOver...].map(\.id))
    }
    // Also when the last one was sent: the connection may have been another one by then.
    await fence()
    unsent.formUnion(returned)
    returned = []
    let left = unsent.isEmpty ? [] : batch.filter { unsent.contains($0.id) }
    status.noteSent(batch.count - left.count)
    return left
  }

  /// After messages came back: waits a little, and finds out how the connection is.
  private func recover() async {
    try? await Task.sleep(for: isStopping ? .zero : limits.pause)
    await askWhetherConnected()
  }

  private func askWhetherConnected() async {
    guard !isStopping else { return }
    if let connection = await CloudConnection.find(channel, for: .eventBus) { isConnected = connection == .connected }
    if isConnected { signal.yield() }
  }
}
