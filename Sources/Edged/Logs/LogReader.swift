import Glibc
import KubernetesAPI

/// Which part of a log is wanted, and how.
public struct LogOptions: Sendable, Hashable {
  /// Only the last lines; nil for all.
  public var tailLines: Int?
  /// Only what was printed at that time or later.
  public var since: Timestamp?
  /// Bytes after which the log is cut.
  public var limitBytes: Int64?
  /// Whether each line begins with its time.
  public var timestamps: Bool

  public init(tailLines: Int? = nil, since: Timestamp? = nil, limitBytes: Int64? = nil, timestamps: Bool = false) {
    self.tailLines = tailLines
    self.since = since
    self.limitBytes = limitBytes
    self.timestamps = timestamps
  }
}

/// What a container printed, read from its log file in pieces of some 32 KiB as fast as they are taken.
///
/// Rotated files are not served, but a log that is followed goes on over any rotation. Each reader is iterated once.
public struct LogReader: AsyncSequence, Sendable {
  public typealias Element = [UInt8]

  private let file: LogFile
  private let isGuarded: Bool
  /// The log's bytes when it was opened.
  private let size: Int64
  private let options: LogOptions
  private let watch: DirectoryWatch?
  private let ended: (@Sendable () async -> Void)?

  /// Opens a log file.
  /// - Parameters:
  ///   - root: a directory that only the engine and the agent decide about. Nothing below it may be a link, and nothing but a regular
  ///     file in its place is read. nil: links to the log are followed.
  ///   - ended: makes the reader follow the log: returns when the engine's status says that the container has ended (the engine
  ///     has written everything then), or when the task is cancelled. It is called each time the reader has to wait.
  public init(
    path: String, below root: String? = nil, options: LogOptions = LogOptions(), followUntil ended: (@Sendable () async -> Void)? = nil
  ) throws(FileError) {
    let path = try Self.place(of: path, below: root)
    isGuarded = root != nil
    self.options = options
    self.ended = ended
    // The watch comes first: nothing that is written later goes unnoticed.
    watch = ended == nil ? nil : try DirectoryWatcher.shared.watch(FileSystem.parent(of: path) ?? "/")
    file = try LogFile(path: path, isGuarded: isGuarded)
    size = try file.status().size
  }

  /// Where the log is: rotation happens where the file itself is.
  private static func place(of path: String, below root: String?) throws(FileError) -> String {
    if let root, !path.hasPrefix(root + "/") || path.split(separator: "/").contains("..") { throw FileError("open", path, code: EPERM) }
    guard let real = realpath(root ?? path, nil) else { throw .last("open", path) }
    defer { free(real) }
    return String(cString: real) + (root.map { String(path.dropFirst($0.count)) } ?? "")
  }

  public func makeAsyncIterator() -> AsyncIterator {
    AsyncIterator(file: file, isGuarded: isGuarded, size: size, options: options, watch: watch, ended: ended)
  }

  /// The end of a log: at most `limit` bytes of its last lines.
  public static func lastLines(of path: String, lines: Int = 80, limit: Int = 2048) throws(FileError) -> String {
    let file = try LogFile(path: path)
    let end = try file.status().size
    var offset = try LogTail.offset(ofLast: lines, in: file, end: end)
    var decoder = LogDecoder()
    var output: [UInt8] = []
    while offset < end {
      let bytes = try file.bytes(at: offset, count: Int(Swift.min(AsyncIterator.blockSize, end - offset)))
      if bytes.isEmpty { break }
      offset += Int64(bytes.count)
      decoder.append(bytes, to: &output)
      if output.count > limit { output.removeFirst(output.count - limit) }
    }
    decoder.flush(to: &output)
    return String(decoding: output.suffix(limit), as: UTF8.self)
  }
}

extension LogReader {
  /// Reads when asked and never ahead.
  public struct AsyncIterator: AsyncIteratorProtocol {
    static let blockSize: Int64 = 32 << 10

    private var file: LogFile
    private let isGuarded: Bool
    private let size: Int64
    private let options: LogOptions
    private let watch: DirectoryWatch?
    private let ended: (@Sendable () async -> Void)?
    private var decoder: LogDecoder
    private var offset: Int64 = 0
    /// Where reading stops when the log is not followed.
    private var end: Int64?
    private var isStarted = false
    private var isFinished = false
    private var hasEnded = false

    init(
      file: LogFile, isGuarded: Bool, size: Int64, options: LogOptions, watch: DirectoryWatch?, ended: (@Sendable () async -> Void)?
    ) {
      self.file = file
      self.isGuarded = isGuarded
      self.size = size
      self.options = options
      self.watch = watch
      self.ended = ended
      decoder = LogDecoder(timestamps: options.timestamps, since: options.since, limit: options.limitBytes)
    }

    /// The next piece; nil at the end of the log.
    public mutating func next() async throws -> [UInt8]? {
      if !isStarted {
        isStarted = true
        if let lines = options.tailLines { offset = try LogTail.offset(ofLast: lines, in: file, end: size) }
        if watch == nil { end = size }
      }
      while !isFinished, !decoder.isDone {
        try Task.checkCancellation()
        var output: [UInt8] = []
        let isAtEnd = try read(to: &output)
        if isAtEnd, output.isEmpty, try !goOn(to: &output) {
          if watch == nil || hasEnded {
            isFinished = true
            decoder.flush(to: &output)
          } else if output.isEmpty {
            try await waitForMore()
          }
        }
        if !output.isEmpty { return output }
      }
      return nil
    }

    /// Reads until there is a piece to hand out. Returns whether the end was reached before that.
    private mutating func read(to output: inout [UInt8]) throws -> Bool {
      while output.count < Self.blockSize, !decoder.isDone {
        let wanted = Swift.min(Self.blockSize, (end ?? .max) - offset)
        guard wanted > 0 else { return true }
        let bytes = try file.bytes(at: offset, count: Int(wanted))
        guard !bytes.isEmpty else { return true }
        offset += Int64(bytes.count)
        decoder.append(bytes, to: &output)
      }
      return false
    }

    /// Whether there is more to read after all: in the file that came after this one, or in this one, cut short by somebody.
    private mutating func goOn(to output: inout [UInt8]) throws -> Bool {
      guard watch != nil else { return false }
      let status = try file.status()
      if status.size < offset {
        decoder.endOfFile(to: &output)
        offset = 0
        return true
      }
      guard let next = try successor(of: status) else { return false }
      // Only when something is written to the new file, nothing is written to the old one any more.
      if try file.status().size > offset { return true }
      decoder.endOfFile(to: &output)
      file = next
      offset = 0
      return true
    }

    /// The file that the engine wrote after this one. A slow reader may be behind by more than one rotation.
    private mutating func successor(of status: FileStatus) throws -> LogFile? {
      if let current = try FileSystem.status(file.path), current.isSame(as: status) { return nil }
      while true {
        let files = try files()
        // Neither is there under its old name nor under a new one: somebody removed the log.
        if files.isEmpty { hasEnded = true }
        let mine = files.firstIndex { $0.status.isSame(as: status) }
        let next = files.enumerated().first { index, other in
          guard !other.path.hasSuffix(".gz"), other.status.kind == .file, other.status.size > 0 || hasEnded else { return false }
          // A file that was removed or compressed meanwhile has no place among the others; its time tells.
          return mine.map { index > $0 } ?? (other.path == file.path || other.status.modified > status.modified)
        }
        guard let next = next?.element else { return nil }
        if let opened = try? LogFile(path: next.path, namedLike: file.path, isGuarded: isGuarded) {
          if try opened.status().isSame(as: next.status) { return opened }
        } else if let there = try FileSystem.status(next.path), there.isSame(as: next.status) {
          return nil
        }
        // It was renamed or compressed at this very moment.
      }
    }

    /// The log and its rotated files, the oldest first, as they all were at one moment: a rotation while they are looked at would
    /// hide one of them.
    private func files() throws(FileError) -> [Place] {
      var files = try places()
      while true {
        let again = try places()
        if again.elementsEqual(files, by: { $0.path == $1.path && $0.status.isSame(as: $1.status) }) { return again }
        files = again
      }
    }

    private func places() throws(FileError) -> [Place] {
      var places: [Place] = []
      for path in try LogDirectory.rotated(of: file.path) + [file.path] {
        if let status = try FileSystem.status(path) { places.append(Place(path: path, status: status)) }
      }
      return places
    }

    private struct Place {
      var path: String
      var status: FileStatus
    }

    private mutating func waitForMore() async throws {
      guard let watch, let ended else { return }
      let isEnd = await withTaskGroup(of: Bool.self) { group in
        group.addTask { await !watch.change() }
        group.addTask {
          await ended()
          return true
        }
        let first = await group.next() ?? true
        group.cancelAll()
        return first
      }
      try Task.checkCancellation()
      if isEnd { hasEnded = true }
    }
  }
}
