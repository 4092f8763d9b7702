import CCurl
import CLinux
import Glibc

/// What runs on the thread: libcurl's multi handle, the transfers and raw streams inside it, spare easy handles.
final class LoopThread {
  private static let spareHandles = 4
  /// Idle connections that may wait for the next request, beyond those in use.
  private static let idleConnections = 8
  /// A peer that keeps closing new connections fails its requests in the end.
  private static let attempts = 4

  private let loop: MultiLoop
  private let multi: UnsafeMutableRawPointer
  private let changes = RoundChanges()
  private var transfers: [ObjectIdentifier: ActiveTransfer] = [:]
  private var streams: [ObjectIdentifier: ActiveRawStream] = [:]
  private var connecting: [UnsafeMutableRawPointer: ActiveRawStream] = [:]
  private var spares: [EasyHandle] = []
  private var waitFDs: [curl_waitfd] = []
  private var waiting: [ActiveRawStream] = []
  private var generations = ConnectionGenerations()
  private var connectionLimit = 0

  init(_ loop: MultiLoop, multi: UnsafeMutableRawPointer) {
    self.loop = loop
    self.multi = multi
    _ = ccurl_multi_setopt_long(multi, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    _ = ccurl_multi_setopt_long(multi, CURLMOPT_MAX_CONCURRENT_STREAMS, 1000)
  }

  func run() {
    _ = "curl".withCString { clinux_prctl(PR_SET_NAME, UInt(bitPattern: $0)) }
    // Signals go to the threads that expect them; a blocked SIGPIPE makes OpenSSL's writes fail with EPIPE instead.
    var signals = sigset_t()
    sigfillset(&signals)
    pthread_sigmask(SIG_SETMASK, &signals, nil)

    while let commands = loop.takeCommands() {
      for command in commands { handle(command) }
      var running: Int32 = 0
      guard curl_multi_perform(multi, &running) == CURLM_OK else { break }
      takeMessages()
      publishChanges()
      guard !loop.prepareToSleep() || sleep() else { break }
    }
    end()
  }

  // MARK: Sleeping

  /// False when libcurl can't wait any more.
  private func sleep() -> Bool {
    collectWaitFDs()
    var ready: Int32 = 0
    // libcurl wakes up by itself for its own timers.
    let code = waitFDs.withUnsafeMutableBufferPointer {
      curl_multi_poll(multi, $0.baseAddress, UInt32($0.count), Int32.max, &ready)
    }
    guard code == CURLM_OK else { return false }
    for (stream, waited) in zip(waiting, waitFDs) where waited.revents != 0 { serve(stream) }
    waiting.removeAll(keepingCapacity: true)
    return true
  }

  private func collectWaitFDs() {
    waitFDs.removeAll(keepingCapacity: true)
    for stream in streams.values {
      let events = stream.interests
      guard events != 0, let socket = stream.socket else { continue }
      waitFDs.append(curl_waitfd(fd: socket, events: events, revents: 0))
      waiting.append(stream)
    }
  }

  // MARK: Commands

  private func handle(_ command: MultiLoop.Command) {
    switch command {
    case .start(let transfer): start(transfer)
    case .cancel(let transfer): cancel(transfer)
    case .unpause(let transfer):
      guard let active = transfers[ObjectIdentifier(transfer)] else { return }
      let code = active.unpause()
      if code != CURLE_OK { finish(active, code) }
    case .connect(let stream): connect(stream)
    case .serve(let stream):
      if let active = streams[ObjectIdentifier(stream)], active.socket != nil { serve(active) }
    case .close(let stream):
      if let active = streams[ObjectIdentifier(stream)] { remove(active) }
      stream.closed()
    }
  }

  private func start(_ transfer: Transfer) {
    guard !transfer.isEnded else { return }
    begin(transfer, choice: generations.choose(for: transfer.request), attempt: 1)
  }

  private func begin(_ transfer: Transfer, choice: ConnectionChoice, attempt: Int) {
    guard let easy = spares.popLast() ?? EasyHandle() else {
      transfer.finish(.failure(transfer.request.label.error(.other, "out of memory")))
      return
    }
    let active = ActiveTransfer(transfer, easy: easy, choice: choice, attempt: attempt, changes: changes)
    do throws(HTTPError) {
      try active.configure()
    } catch {
      transfer.finish(.failure(error))
      recycle(easy)
      return
    }
    transfers[ObjectIdentifier(transfer)] = active
    limitConnections()
    let code = curl_multi_add_handle(multi, easy.pointer)
    guard code == CURLM_OK else {
      transfers[ObjectIdentifier(transfer)] = nil
      transfer.finish(.failure(transfer.request.label.error(.other, String(cString: curl_multi_strerror(code)))))
      recycle(easy)
      return
    }
  }

  private func cancel(_ transfer: Transfer) {
    guard let active = transfers[ObjectIdentifier(transfer)] else { return }
    abort(active)
  }

  // MARK: Transfers

  private func takeMessages() {
    var left: Int32 = 0
    while let message = curl_multi_info_read(multi, &left) {
      guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
      let code = message.pointee.data.result
      if let stream = connecting.removeValue(forKey: handle) {
        connected(stream, code)
      } else {
        var context: UnsafeMutableRawPointer?
        _ = ccurl_getinfo_pointer(handle, CURLINFO_PRIVATE, &context)
        if let active = ActiveTransfer.from(context) { finish(active, code) }
      }
    }
  }

  private func publishChanges() {
    guard !changes.transfers.isEmpty else { return }
    let changed = changes.transfers
    changes.transfers.removeAll(keepingCapacity: true)
    for active in changed {
      active.publishChanges()
      guard transfers[ObjectIdentifier(active.transfer)] != nil else { continue }
      if active.isRefused {
        abort(active)
      } else if active.choice.generation != nil {
        // libcurl 7.88.1 may hold the end of an HTTP/2 stream, trailers included, that it has read together with the last bytes of
        // a body of some hundred KiB, and then waits for a socket on which nothing more comes.
        active.nudge()
      }
    }
  }

  private func finish(_ active: ActiveTransfer, _ code: CURLcode) {
    let transfer = active.transfer
    if active.hasDeclined, active.attempt < Self.attempts, transfer.canRewind, !transfer.isEnded {
      release(active)
      begin(transfer, choice: generations.choose(for: transfer.request, after: active.choice), attempt: active.attempt + 1)
    } else {
      active.complete(code)
      if code == CURLE_OK { release(active) } else { abort(active) }
    }
  }

  /// Takes a transfer out before its end.
  private func abort(_ active: ActiveTransfer) {
    guard let generation = active.choice.generation else {
      release(active)
      return
    }
    let siblings = transfers.values.filter { $0 !== active && $0.choice.generation == generation }
    // libcurl writes the stream's reset into a buffer that only the next use of the connection flushes. Without a sibling to do
    // that the peer learns of it by the connection's end.
    if siblings.isEmpty { active.easy.set(CURLOPT_FORBID_REUSE, 1) }
    release(active)
    // libcurl may also hold bytes of the siblings that it read while the removed stream held them up.
    for sibling in siblings { sibling.nudge() }
  }

  private func release(_ active: ActiveTransfer) {
    transfers[ObjectIdentifier(active.transfer)] = nil
    curl_multi_remove_handle(multi, active.easy.pointer)
    recycle(active.easy)
  }

  private func recycle(_ easy: EasyHandle) {
    guard spares.count < Self.spareHandles else { return }
    easy.reset()
    spares.append(easy)
  }

  /// Without this libcurl keeps four connections for each transfer under way.
  private func limitConnections() {
    let limit = transfers.count + streams.count + Self.idleConnections
    guard limit != connectionLimit else { return }
    connectionLimit = limit
    _ = ccurl_multi_setopt_long(multi, CURLMOPT_MAXCONNECTS, limit)
  }

  // MARK: Raw streams

  private func connect(_ stream: RawStream) {
    guard !stream.isEnded else { return }
    guard let easy = spares.popLast() ?? EasyHandle() else {
      stream.fail(stream.request.label.error(.other, "out of memory"))
      return
    }
    let active = ActiveRawStream(stream, easy: easy)
    do throws(HTTPError) {
      try active.configure()
    } catch {
      stream.fail(error)
      recycle(easy)
      return
    }
    let code = curl_multi_add_handle(multi, easy.pointer)
    guard code == CURLM_OK else {
      stream.fail(stream.request.label.error(.other, String(cString: curl_multi_strerror(code))))
      recycle(easy)
      return
    }
    streams[ObjectIdentifier(stream)] = active
    connecting[easy.pointer] = active
    limitConnections()
  }

  private func connected(_ active: ActiveRawStream, _ code: CURLcode) {
    if let error = active.connected(code) {
      active.stream.fail(error)
      remove(active)
    } else {
      // The easy handle stays in the multi handle: removing it closes the connection.
      active.stream.connected()
      serve(active)
    }
  }

  private func serve(_ active: ActiveRawStream) {
    if !active.serve() { remove(active) }
  }

  private func remove(_ active: ActiveRawStream) {
    guard streams.removeValue(forKey: ObjectIdentifier(active.stream)) != nil else { return }
    connecting[active.easy.pointer] = nil
    active.socket = nil
    curl_multi_remove_handle(multi, active.easy.pointer)
    recycle(active.easy)
    active.stream.closed()
  }

  // MARK: The end

  private func end() {
    for command in loop.refuseCommands() {
      switch command {
      case .start(let transfer): transfer.finish(.failure(transfer.request.label.error(.clientShutdown)))
      case .connect(let stream): stream.fail(stream.request.label.error(.clientShutdown))
      case .close(let stream): stream.closed()
      case .cancel, .unpause, .serve: break
      }
    }
    publishChanges()
    for active in transfers.values {
      active.transfer.finish(.failure(active.transfer.request.label.error(.clientShutdown)))
      curl_multi_remove_handle(multi, active.easy.pointer)
    }
    transfers.removeAll()
    for active in Array(streams.values) {
      active.stream.fail(active.stream.request.label.error(.clientShutdown))
      remove(active)
    }
    spares.removeAll()
    curl_multi_cleanup(multi)
    loop.threadEnded()
  }
}
