import Glibc
import Synchronization

@testable import Edged

/// A directory of a test's own, which goes when the test ends.
final class LogScratch: Sendable {
  let path: String

  init() throws {
    var template = Array("/tmp/edged-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw LogError("mkdtemp", "/tmp") }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { try? LogDirectory.removeTree(path) }

  /// Writes a file, and makes the directories above it.
  @discardableResult
  func write(_ name: String, _ text: String, flags: Int32 = O_TRUNC) throws -> String {
    var folder = path
    for part in name.split(separator: "/").dropLast() {
      folder += "/" + part
      if mkdir(folder, 0o755) != 0, errno != EEXIST { throw LogError("mkdir", folder) }
    }
    let file = path + "/" + name
    let descriptor = open(file, O_WRONLY | O_CREAT | flags, 0o644)
    guard descriptor >= 0 else { throw LogError("open", file) }
    defer { close(descriptor) }
    var bytes = Array(text.utf8)[...]
    while !bytes.isEmpty {
      let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      guard count > 0 else { throw LogError("write", file) }
      bytes = bytes.dropFirst(count)
    }
    return file
  }

  func append(_ name: String, _ text: String) throws { try write(name, text, flags: O_APPEND) }

  func move(_ from: String, _ to: String) throws {
    guard rename(path + "/" + from, path + "/" + to) == 0 else { throw LogError("rename", from) }
  }

  func read(_ name: String) throws -> String {
    let file = try LogFile(path: path + "/" + name)
    return String(decoding: try file.bytes(at: 0, count: Int(file.facts?.size ?? 0)), as: UTF8.self)
  }

  func names(_ folder: String = "") -> [String] { LogDirectory.names(in: path + "/" + folder).sorted() }
}

/// Lets tasks wait until it is opened.
final class LogTestLatch: Sendable {
  private struct State {
    var isOpen = false
    var nextID = 0
    var waiters: [Int: CheckedContinuation<Void, Never>] = [:]
  }

  private let state = Mutex(State())

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
