import Glibc
import Synchronization

/// Tells when something happens to the files in directories.
///
/// One inotify instance and one thread, blocked in `read`, serve all watches; both exist only while somebody watches.
final class DirectoryWatcher: Sendable {
  static let shared = DirectoryWatcher()

  private struct State {
    /// The instance in use; its thread closes it.
    var descriptor: Int32?
    var nextID = 0
    /// By the kernel's watch descriptor; a directory has one however often it is watched.
    var watches: [Int32: [Int: AsyncStream<Void>.Continuation]] = [:]
  }

  private let state = Mutex(State())

  /// Watches until the result is released.
  func watch(_ directory: String) throws(FileError) -> DirectoryWatch {
    let (changes, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    let result = state.withLock { state -> Result<DirectoryWatch, FileError> in
      if state.descriptor == nil {
        let descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0 else { return .failure(.last("create inotify for", directory)) }
        if let error = OwnThread.start("inotify", { self.readEvents(descriptor) }) {
          close(descriptor)
          return .failure(error)
        }
        state.descriptor = descriptor
      }
      guard let descriptor = state.descriptor else { return .failure(.last("create inotify for", directory)) }
      let mask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR
      let watch = inotify_add_watch(descriptor, directory, UInt32(mask))
      guard watch >= 0 else {
        let error = FileError.last("watch", directory)
        if state.watches.isEmpty { abandon(&state, waking: descriptor) }
        return .failure(error)
      }
      state.nextID += 1
      state.watches[watch, default: [:]][state.nextID] = continuation
      return .success(DirectoryWatch(watcher: self, watch: watch, id: state.nextID, changes: changes))
    }
    return try result.get()
  }

  fileprivate func remove(_ watch: Int32, _ id: Int) {
    state.withLock { state in
      guard state.watches[watch]?.removeValue(forKey: id) != nil, state.watches[watch]?.isEmpty == true else { return }
      state.watches[watch] = nil
      guard let descriptor = state.descriptor else { return }
      if state.watches.isEmpty { state.descriptor = nil }
      // The kernel confirms this with an event, which wakes the thread.
      inotify_rm_watch(descriptor, watch)
    }
  }

  /// Gives up an instance without watches; a watch that comes and goes makes the thread look.
  private func abandon(_ state: inout State, waking descriptor: Int32) {
    state.descriptor = nil
    let watch = inotify_add_watch(descriptor, "/", UInt32(IN_DELETE_SELF))
    if watch >= 0 { inotify_rm_watch(descriptor, watch) }
  }

  private func readEvents(_ descriptor: Int32) {
    defer { close(descriptor) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 8)
    defer { buffer.deallocate() }
    while state.withLock({ $0.descriptor == descriptor }) {
      let count = read(descriptor, buffer.baseAddress, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { break }
      handle(UnsafeRawBufferPointer(rebasing: buffer[..<count]), from: descriptor)
    }
  }

  private func handle(_ bytes: UnsafeRawBufferPointer, from descriptor: Int32) {
    state.withLock { state in
      guard state.descriptor == descriptor else { return }
      var offset = 0
      while offset + MemoryLayout<inotify_event>.size <= bytes.count {
        let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
        offset += MemoryLayout<inotify_event>.size + Int(event.len)
        if event.mask & UInt32(IN_Q_OVERFLOW) != 0 {
          for continuation in state.watches.values.flatMap(\.values) { continuation.yield() }
        } else if event.mask & UInt32(IN_IGNORED) != 0 {
          // The directory is gone.
          for continuation in (state.watches.removeValue(forKey: event.wd) ?? [:]).values { continuation.finish() }
        } else {
          for continuation in (state.watches[event.wd] ?? [:]).values { continuation.yield() }
        }
      }
      if state.watches.isEmpty { state.descriptor = nil }
    }
  }
}

/// One watched directory.
final class DirectoryWatch: Sendable {
  private let watcher: DirectoryWatcher
  private let watch: Int32
  private let id: Int
  private let changes: AsyncStream<Void>

  fileprivate init(watcher: DirectoryWatcher, watch: Int32, id: Int, changes: AsyncStream<Void>) {
    self.watcher = watcher
    self.watch = watch
    self.id = id
    self.changes = changes
  }

  deinit { watcher.remove(watch, id) }

  /// Waits for something that happened since the last call. Returns false if nothing ever will: the directory is gone, or
  /// a task that waited here was cancelled.
  func change() async -> Bool {
    for await _ in changes { return true }
    return false
  }
}
