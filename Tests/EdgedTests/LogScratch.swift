import Glibc
import Synchronization

@testable import Edged

/// A directory of a test's own, which goes when the test ends.
final class LogScratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/edged-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw FileError.last("make a directory in", "/tmp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? FileSystem.removeTree(path) }

  /// Writes a file, and makes the directories above it.
  @discardableResult
  func write(_ name: String, _ text: String, flags: Int32 = O_TRUNC) throws -> String {
    let file = path + "/" + name
    if let folder = FileSystem.parent(of: file) { try FileSystem.makeDirectories(folder, mode: 0o755) }
    let descriptor = open(file, O_WRONLY | O_CREAT | flags, 0o644)
    guard descriptor >= 0 else { throw FileError.last("open", file) }
    defer { close(descriptor) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw FileError.last("write", file) }
      bytes = bytes.dropFirst(count)
    }
    return file
  }

  func append(_ name: String, _ text: String) throws { try write(name, text, flags: O_APPEND) }

  func move(_ from: String, _ to: String) throws { try FileSystem.rename(path + "/" + from, to: path + "/" + to) }

  func read(_ name: String) throws -> String {
    String(decoding: try FileSystem.read(path + "/" + name, limit: 1 << 20) ?? [], as: UTF8.self)
  }

  func names(_ folder: String = "") throws -> [String] { try FileSystem.list(path + "/" + folder) }
}

/// Lets tasks wait until it is opened.
final class LogTestLatch: Sendable {
  private struct State {
    var isOpen = false
    var nextID = 0
    var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
  }

  private let state = Mutex(State())

  var isOpen: Bool { state.withLock { $0.isOpen } }

  func open() {
    let waiters = state.withLock { state in
      state.isOpen = true
      defer { state.waiters = [:] }
      return state.waiters
    }
    for waiter in waiters.values { waiter.resume() }
  }

  /// Returns when the latch is open or the task is cancelled.
  func wait() async {
    let id = state.withLock { state in
      state.nextID += 1
      return state.nextID
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let goesOn = state.withLock { state in
          if state.isOpen || Task.isCancelled { return true }
          state.waiters[id] = continuation
          return false
        }
        if goesOn { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: id) }?.resume()
    }
  }
}
