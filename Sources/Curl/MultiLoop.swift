import CCurl
import Glibc
import Synchronization

/// The way to the one thread that drives libcurl.
///
/// Tasks leave commands here; the thread takes them in batches and is woken once per batch, and only when it sleeps.
final class MultiLoop: Sendable {
  enum Command {
    case start(Transfer)
    case cancel(Transfer)
    case unpause(Transfer)
    case connect(RawStream)
    /// Bytes to write have come, or there is room for bytes to read.
    case serve(RawStream)
    case close(RawStream)
  }

  /// `curl_multi_wakeup` is the one call that other threads may make on it.
  struct MultiHandle: @unchecked Sendable {
    let pointer: UnsafeMutableRawPointer
  }

  enum Phase {
    case idle
    case running(MultiHandle)
    /// The thread is to end.
    case closing(MultiHandle)
    case ended
  }

  private struct Inbox {
    var phase = Phase.idle
    var commands: [Command] = []
    var isAsleep = false
    var shutdownWaiters: [CheckedContinuation<Void, Never>] = []

    mutating func wake(_ handle: MultiHandle) {
      guard isAsleep else { return }
      isAsleep = false
      curl_multi_wakeup(handle.pointer)
    }
  }

  private let inbox = Mutex(Inbox())

  // MARK: Any thread

  /// Leaves a command that begins something; starts the thread with the first one.
  func submit(_ command: Command, label: RequestLabel) throws(HTTPError) {
    let failure = inbox.withLock { inbox -> HTTPError? in
      switch inbox.phase {
      case .running(let handle):
        inbox.commands.append(command)
        inbox.wake(handle)
      case .idle:
        guard let handle = startThread() else { return label.error(.other, "the thread for libcurl could not be started") }
        inbox.phase = .running(handle)
        inbox.commands.append(command)
      case .closing, .ended:
        return label.error(.clientShutdown)
      }
      return nil
    }
    if let failure { throw failure }
  }

  /// Leaves a command about something that was begun. Without a running thread there is nothing left to do.
  func post(_ command: Command) {
    inbox.withLock { inbox in
      guard case .running(let handle) = inbox.phase else { return }
      inbox.commands.append(command)
      inbox.wake(handle)
    }
  }

  /// Asks the thread to end.
  func stop() {
    inbox.withLock { inbox in
      switch inbox.phase {
      case .idle: inbox.phase = .ended
      case .running(let handle):
        inbox.phase = .closing(handle)
        inbox.wake(handle)
      case .closing, .ended: break
      }
    }
  }

  /// Asks the thread to end and waits until everything is closed.
  func shutdown() async {
    stop()
    await withCheckedContinuation { continuation in
      let hasEnded = inbox.withLock { inbox in
        if case .ended = inbox.phase { return true }
        inbox.shutdownWaiters.append(continuation)
        return false
      }
      if hasEnded { continuation.resume() }
    }
  }

  private func startThread() -> MultiHandle? {
    guard CurlLibrary.initialization == CURLE_OK, let pointer = curl_multi_init() else { return nil }
    let handle = MultiHandle(pointer: pointer)
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, 512 << 10)
    let start = Unmanaged.passRetained(ThreadStart(loop: self, handle: handle))
    var thread = pthread_t()
    let status = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
        LoopThread(start.loop, multi: start.handle.pointer).run()
        return nil
      }, start.toOpaque())
    guard status == 0 else {
      start.release()
      curl_multi_cleanup(pointer)
      return nil
    }
    return handle
  }

  private final class ThreadStart {
    let loop: MultiLoop
    let handle: MultiHandle

    init(loop: MultiLoop, handle: MultiHandle) {
      self.loop = loop
      self.handle = handle
    }
  }

  // MARK: The thread

  /// The commands since the last call; nil when the thread is to end.
  func takeCommands() -> [Command]? {
    inbox.withLock { inbox in
      inbox.isAsleep = false
      guard case .running = inbox.phase else { return nil }
      let commands = inbox.commands
      inbox.commands.removeAll()
      return commands
    }
  }

  /// True when the thread may sleep: from now on every command wakes it.
  func prepareToSleep() -> Bool {
    inbox.withLock { inbox in
      guard case .running = inbox.phase, inbox.commands.isEmpty else { return false }
      inbox.isAsleep = true
      return true
    }
  }

  /// Refuses commands from now on and gives those that nobody has taken.
  func refuseCommands() -> [Command] {
    stop()
    return inbox.withLock { inbox in
      let commands = inbox.commands
      inbox.commands.removeAll()
      return commands
    }
  }

  /// The thread has freed everything.
  func threadEnded() {
    let waiters = inbox.withLock { inbox in
      inbox.phase = .ended
      let waiters = inbox.shutdownWaiters
      inbox.shutdownWaiters.removeAll()
      return waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}

enum CurlLibrary {
  /// Once per process.
  static let initialization: CURLcode = curl_global_init(Int(CURL_GLOBAL_ALL))
}
