import CLinux
import CMosquitto
import Glibc
import Synchronization

/// The thread of a client: the only one that calls the library about this client, so that the library needs no thread of its own.
final class ClientLoop: @unchecked Sendable {
  /// Seconds between looks at whether the connection lives.
  private static let checkInterval: Int64 = 5000
  /// A connection that held for so long begins the delays anew, milliseconds.
  private static let stableAfter: Int64 = 10_000
  private static let readsInARow = 256

  private enum Phase: Equatable {
    case idle(until: Int64)
    case connecting(since: Int64)
    case connected(since: Int64)
  }

  private struct Shared {
    var wanted: [String] = []
    var leaving: [String] = []
    var version = 0
    var isConnected = false
    /// Milliseconds; publishing ends by then.
    var stopBy: Int64?
    var hasEnded = false
    var stopWaiters: [CheckedContinuation<Void, Never>] = []
  }

  let inbox: MessageInbox
  let queue: PublishQueue
  private let options: MQTTOptions
  private let wake: WakeSignal
  private let onEvent: @Sendable (MQTTEvent) -> Void
  private let onPublish: @Sendable (MQTTPublication) -> Void
  private let shared = Mutex(Shared())

  // Only for the thread.
  let mosquitto: OpaquePointer
  private var phase = Phase.idle(until: 0)
  private var delay: Duration
  private var outstanding = Outstanding()
  private var subscriptions = Subscriptions()
  private var seenVersion = -1
  private var refusal: String?
  private var problem: String?
  private var fullSince: Int64?
  private var lastCheck: Int64 = 0
  private var addresses: [String] = []
  private var droppedMessages = 0

  private static let isLibraryReady: Bool = mosquitto_lib_init() == MOSQ_ERR_SUCCESS.rawValue

  init(
    _ options: MQTTOptions, onEvent: @escaping @Sendable (MQTTEvent) -> Void, onPublish: @escaping @Sendable (MQTTPublication) -> Void
  ) throws {
    guard Self.isLibraryReady else { throw MQTTError("libmosquitto can't be used") }
    let wake = try WakeSignal()
    self.wake = wake
    self.options = options
    self.onEvent = onEvent
    self.onPublish = onPublish
    delay = options.firstDelay
    inbox = MessageInbox(countLimit: options.inboxCount, byteLimit: options.inboxBytes) { wake.wake() }
    queue = PublishQueue(countLimit: options.outboxCount, byteLimit: options.outboxBytes)
    guard let mosquitto = mosquitto_new(options.clientID, !options.keepsSession, nil) else {
      throw MQTTError("can't make an MQTT client with the id \"\(options.clientID)\": \(String(cString: strerror(errno)))")
    }
    self.mosquitto = mosquitto
    mosquitto_user_data_set(mosquitto, Unmanaged.passUnretained(self).toOpaque())
    try configure()
    setCallbacks()
  }

  deinit { mosquitto_destroy(mosquitto) }

  private func configure() throws {
    mosquitto_int_option(mosquitto, MOSQ_OPT_PROTOCOL_VERSION, Int32(MQTT_PROTOCOL_V311))
    mosquitto_int_option(mosquitto, MOSQ_OPT_SEND_MAXIMUM, Int32(Outstanding.limit))
    mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1)
    if let user = options.user { try check("user and password", mosquitto_username_pw_set(mosquitto, user, options.password)) }
    guard let security = options.security else { return }
    if let file = security.caFile {
      try check(
        "the certificates \([file, security.certificateFile, security.keyFile].compactMap { $0 }.joined(separator: ", "))",
        mosquitto_tls_set(mosquitto, file, nil, security.certificateFile, security.keyFile, nil))
    } else {
      mosquitto_int_option(mosquitto, MOSQ_OPT_TLS_USE_OS_CERTS, 1)
    }
    if !security.verifies {
      try check("TLS", mosquitto_tls_opts_set(mosquitto, 0, nil, nil))
      try check("TLS", mosquitto_tls_insecure_set(mosquitto, true))
    }
  }

  private func check(_ what: String, _ code: Int32) throws {
    guard code != Self.success else { return }
    throw MQTTError("can't use \(what): \(Self.text(code, errno))")
  }

  // MARK: From other threads

  var isConnected: Bool { shared.withLock { $0.isConnected } }

  var threadHasEnded: Bool { shared.withLock { $0.hasEnded } }

  func publish(_ publication: MQTTPublication) {
    let dropped = queue.put(publication)
    wake.wake()
    if dropped > 0 { onEvent(.publicationsDropped(count: dropped, reason: "too many wait for the broker")) }
  }

  func subscribe(_ filters: [String], leaving: [String]) {
    shared.withLock { shared in
      shared.wanted = filters
      shared.leaving = leaving
      shared.version += 1
    }
    wake.wake()
  }

  func start() throws {
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setstacksize(&attributes, 512 << 10)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    let context = Unmanaged.passRetained(self)
    var thread = pthread_t()
    let code = pthread_create(
      &thread, &attributes,
      { context in
        guard let context else { return nil }
        let loop = Unmanaged<ClientLoop>.fromOpaque(context).takeRetainedValue()
        _ = "mqtt".withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0)) }
        // A broker that has gone is an error of the write, whatever the program does about SIGPIPE.
        var pipe = sigset_t()
        sigemptyset(&pipe)
        sigaddset(&pipe, SIGPIPE)
        pthread_sigmask(SIG_BLOCK, &pipe, nil)
        loop.run()
        return nil
      }, context.toOpaque())
    guard code == 0 else {
      context.release()
      shared.withLock { $0.hasEnded = true }
      throw MQTTError("can't start a thread: \(String(cString: strerror(code)))")
    }
  }

  func stop(within limit: Duration) async {
    let end = Self.now + Self.milliseconds(limit)
    shared.withLock { $0.stopBy = $0.stopBy ?? end }
    wake.wake()
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask { await self.hasEnded() }
      // A search for an address can't be interrupted; the thread ends behind it.
      tasks.addTask { try? await Task.sleep(for: limit + .seconds(1)) }
      await tasks.next()
      // The waiter can't be cancelled: it is let go.
      self.releaseStopWaiters()
      tasks.cancelAll()
    }
    inbox.close()
  }

  private func hasEnded() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let waits = shared.withLock { shared in
        guard !shared.hasEnded else { return false }
        shared.stopWaiters.append(continuation)
        return true
      }
      if !waits { continuation.resume() }
    }
  }

  private func releaseStopWaiters(ended: Bool = false) {
    let waiters = shared.withLock { shared in
      if ended { shared.hasEnded = true }
      defer { shared.stopWaiters = [] }
      return shared.stopWaiters
    }
    for waiter in waiters { waiter.resume() }
  }

  // MARK: The thread

  private func run() {
    while true {
      wake.clear()
      let now = Self.now
      let stopBy = shared.withLock { $0.stopBy }
      if let stopBy, isDone(now, stopBy) { break }
      if case .idle(let until) = phase, stopBy == nil, now >= until { connect() }
      if case .connected = phase {
        synchronizeSubscriptions()
        drain()
      }
      wait(stopBy)
      inbox.announce()
    }
    farewell()
    queue.giveUp()
    inbox.close()
    releaseStopWaiters(ended: true)
  }

  private func isDone(_ now: Int64, _ stopBy: Int64) -> Bool {
    guard case .connected = phase, now < stopBy else { return true }
    return queue.count == 0 && outstanding.isEmpty && !mosquitto_want_write(mosquitto)
  }

  private func farewell() {
    shared.withLock { $0.isConnected = false }
    guard case .connected = phase else { return }
    mosquitto_disconnect(mosquitto)
    let end = Self.now + 300
    while mosquitto_socket(mosquitto) >= 0, Self.now < end {
      var item = pollfd(fd: mosquitto_socket(mosquitto), events: Int16(POLLOUT), revents: 0)
      _ = poll(&item, 1, 50)
      guard mosquitto_loop_write(mosquitto, 1) == Self.success else { break }
    }
  }

  /// Sleeps until there is something to do, and does what the library has to.
  private func wait(_ stopBy: Int64?) {
    let now = Self.now
    var timeout: Int64
    var items = [pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)]
    switch phase {
    case .idle(let until): timeout = until - now
    case .connecting(let since):
      timeout = min(since + Self.milliseconds(options.connectTimeout) - now, Self.checkInterval)
      addSocket(to: &items, reads: true, isConnecting: true)
    case .connected:
      timeout = Self.checkInterval
      let reads = mayRead(now)
      if let fullSince { timeout = min(timeout, fullSince + Self.milliseconds(options.patience) - now) }
      addSocket(to: &items, reads: reads, isConnecting: false)
    }
    if let stopBy { timeout = min(timeout, stopBy - now) }
    _ = poll(&items, nfds_t(items.count), Int32(clamping: max(timeout, 0)))
    if items.count > 1, items[1].revents != 0 { serve(items[1].revents, reads: items[1].events & Int16(POLLIN) != 0) }
    look()
  }

  private func addSocket(to items: inout [pollfd], reads: Bool, isConnecting: Bool) {
    let socket = mosquitto_socket(mosquitto)
    guard socket >= 0 else { return }
    var events: Int32 = reads ? POLLIN : 0
    if mosquitto_want_write(mosquitto) || isConnecting && isBeforeHandshake { events |= POLLOUT }
    items.append(pollfd(fd: socket, events: Int16(events), revents: 0))
  }

  /// The TLS handshake begins when the socket can be written to; the library doesn't ask for that.
  private var isBeforeHandshake = false

  /// Publications that wait for confirmations need what is behind messages in the stream: whoever takes the messages may wait for them.
  private var hasRoom: Bool { inbox.hasRoom || outstanding.isFull && inbox.hasRoomInNeed }

  private func mayRead(_ now: Int64) -> Bool {
    if hasRoom {
      fullSince = nil
      return true
    }
    let since = fullSince ?? now
    fullSince = since
    guard now - since >= Self.milliseconds(options.patience) else { return false }
    inbox.giveUp()
    fullSince = nil
    return true
  }

  private func serve(_ events: Int16, reads: Bool) {
    if Int32(events) & POLLOUT != 0 {
      let begins = isBeforeHandshake
      isBeforeHandshake = false
      let code = begins ? mosquitto_loop_read(mosquitto, 1) : mosquitto_loop_write(mosquitto, 1)
      guard code == Self.success else { return end(code, errno) }
    }
    guard Int32(events) & (POLLIN | POLLHUP | POLLERR) != 0, reads || Int32(events) & (POLLHUP | POLLERR) != 0 else { return }
    var count = 0
    repeat {
      errno = 0
      let code = mosquitto_loop_read(mosquitto, 1)
      guard code == Self.success else { return end(code, errno) }
      count += 1
    } while errno != EAGAIN && count < Self.readsInARow && mosquitto_socket(mosquitto) >= 0 && hasRoom
    if droppedMessages > 0 {
      onEvent(.messagesDropped(count: droppedMessages))
      droppedMessages = 0
    }
  }

  /// Looks whether the connection lives.
  private func look() {
    let now = Self.now
    if case .connecting(let since) = phase, now - since >= Self.milliseconds(options.connectTimeout) {
      return end(MOSQ_ERR_KEEPALIVE.rawValue, 0, "the broker doesn't answer")
    }
    guard phase != .idle(until: 0), now - lastCheck >= Self.checkInterval else { return }
    if case .idle = phase { return }
    lastCheck = now
    let code = mosquitto_loop_misc(mosquitto)
    if code != Self.success { end(code, errno) }
  }

  // MARK: Connections

  private func connect() {
    problem = nil
    refusal = nil
    hearProblems(true)
    errno = 0
    isBeforeHandshake = options.security != nil
    let code: Int32
    switch options.server {
    case .unix(let path): code = mosquitto_connect_async(mosquitto, path, 0, options.keepAlive)
    case .tcp(let host, let port):
      if addresses.isEmpty { addresses = HostAddresses.find(host) }
      if addresses.isEmpty { return end(MOSQ_ERR_EAI.rawValue, 0, "the address of \(host) can't be found") }
      let address = addresses.removeFirst()
      if options.security == nil {
        // Each address in its turn: the library would only try the first.
        code = mosquitto_connect_async(mosquitto, address, Int32(port), options.keepAlive)
      } else if addresses.isEmpty {
        // The name is what the certificate is compared with.
        code = mosquitto_connect_async(mosquitto, host, Int32(port), options.keepAlive)
      } else {
        addresses = []
        code = mosquitto_connect(mosquitto, host, Int32(port), options.keepAlive)
      }
    }
    phase = .connecting(since: Self.now)
    if code > 0 { end(code, errno) }
  }

  /// The connection is gone, or did not come about.
  private func end(_ code: Int32, _ number: Int32, _ reason: String? = nil) {
    let now = Self.now
    let socket = mosquitto_socket(mosquitto)
    if socket >= 0 {
      // The library closes it when it connects anew; the broker shall know now.
      shutdown(socket, Int32(SHUT_RDWR))
      _ = mosquitto_loop_read(mosquitto, 1)
    }
    let reason = reason ?? refusal ?? problem ?? Self.text(code, number)
    let wasConnected: Bool
    if case .connected(let since) = phase {
      wasConnected = true
      addresses = []
      if now - since >= Self.stableAfter { delay = options.firstDelay }
    } else {
      wasConnected = false
    }
    // Further addresses of the host are tried at once.
    let pause = addresses.isEmpty ? nextDelay() : 0
    phase = .idle(until: now + pause)
    subscriptions = Subscriptions()
    seenVersion = -1
    shared.withLock { $0.isConnected = false }
    queue.giveUp()
    inbox.announce()
    if wasConnected {
      onEvent(.disconnected(reason: reason))
    } else if addresses.isEmpty {
      onEvent(.connectFailed(reason: reason))
    }
  }

  private func nextDelay() -> Int64 {
    let spread = Double.random(in: 0.8...1.2)
    defer { delay = min(delay * 2, options.longestDelay) }
    return Int64(Double(Self.milliseconds(delay)) * spread)
  }

  func noteAnswer(_ code: Int32, _ flags: Int32) {
    guard code == 0 else {
      refusal = "the broker refuses the connection: \(String(cString: mosquitto_connack_string(code)))"
      return
    }
    phase = .connected(since: Self.now)
    hearProblems(false)
    lastCheck = Self.now
    subscriptions = Subscriptions()
    seenVersion = -1
    addresses = []
    shared.withLock { $0.isConnected = true }
    onEvent(.connected(sessionPresent: flags & 1 != 0))
  }

  // MARK: Subscriptions

  private func synchronizeSubscriptions() {
    let (version, wanted, leaving) = shared.withLock { ($0.version, $0.wanted, $0.leaving) }
    guard version != seenVersion else { return }
    seenVersion = version
    subscriptions.synchronize(mosquitto, wanted: wanted, leaving: leaving)
  }

  func noteSubscribed(_ id: Int32, _ granted: Int32) {
    if let filter = subscriptions.noteSubscribed(id), granted >= 128 { onEvent(.refused(filter: filter)) }
  }

  func noteUnsubscribed(_ id: Int32) {
    if let filter = subscriptions.noteUnsubscribed(id) { onEvent(.unsubscribed(filter: filter)) }
  }

  // MARK: Messages

  private func drain() {
    while !outstanding.isFull, !mosquitto_want_write(mosquitto), let publication = queue.take() {
      onPublish(publication)
      var id: Int32 = 0
      errno = 0
      let code = publication.payload.withUnsafeBytes { bytes in
        mosquitto_publish(
          mosquitto, &id, publication.topic, Int32(clamping: bytes.count), bytes.baseAddress, Int32(publication.qos),
          publication.isRetained)
      }
      switch code {
      case MOSQ_ERR_SUCCESS.rawValue, MOSQ_ERR_NO_CONN.rawValue, MOSQ_ERR_CONN_LOST.rawValue, MOSQ_ERR_ERRNO.rawValue:
        // The library keeps those of QoS 1 and 2 until they are confirmed, over connections.
        outstanding.add(id, qos: publication.qos)
        if code != Self.success { return end(code, errno) }
      default: onEvent(.publicationsDropped(count: 1, reason: Self.text(code, errno)))
      }
    }
  }

  func notePublished(_ id: Int32) { outstanding.remove(id) }

  func take(_ message: UnsafePointer<mosquitto_message>) {
    guard let topic = message.pointee.topic else { return }
    let bytes = UnsafeRawBufferPointer(start: message.pointee.payload, count: Int(message.pointee.payloadlen))
    let isIn = inbox.put(
      MQTTMessage(
        topic: String(cString: topic), payload: Array(bytes), qos: Int(message.pointee.qos), isRetained: message.pointee.retain))
    if !isIn { droppedMessages += 1 }
  }

  func noteProblem(_ text: String) { problem = text }

  // MARK: Small things

  private static let success = MOSQ_ERR_SUCCESS.rawValue

  static var now: Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  static func milliseconds(_ duration: Duration) -> Int64 { Int64(duration / .milliseconds(1)) }

  private static func text(_ code: Int32, _ number: Int32) -> String {
    if code == MOSQ_ERR_ERRNO.rawValue, number != 0 { return String(cString: strerror(number)) }
    return String(cString: mosquitto_strerror(code))
  }
}
