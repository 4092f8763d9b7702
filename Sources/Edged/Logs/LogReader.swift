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
  private let options: LogOptions
  private let watch: DirectoryWatch?
  private let ended: (@Sendable () async -> Void)?

  /// Opens a log file; links to it are followed.
  /// - Parameters:
  ///   - ended: makes the reader follow the log: returns when the engine's status says that the container has ended (the engine
  ///     has written everything then), or when the task is cancelled. It is called each time the reader has to wait.
  public init(
    path: String, options: LogOptions = LogOptions(), followUntil ended: (@Sendable () async -> Void)? = nil
  ) throws(LogError) {
    // Rotation happens where the file itself is.
    guard let real = realpath(path, nil) else { throw LogError("open", path) }
    defer { free(real) }
    let path = String(cString: real)
    self.options = options
    self.ended = ended
    // The watch comes first: nothing that is written later goes unnoticed.
    let folder = path[..<(path.lastIndex(of: "/") ?? path.startIndex)]
    watch = ended == nil ? nil : try DirectoryWatcher.shared.watch(folder.isEmpty ? "/" : String(folder))
    file = try LogFile(path: path)
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(file: file, options: options, watch: watch, ended: ended) }

  /// The end of a log: at most `limit` bytes of its last lines.
  public static func lastLines(of path: String, lines: Int = 80, limit: Int = 2048) throws(LogError) -> String {
    let file = try LogFile(path: path)
    let end = file.facts?.size ?? 0
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

    init(file: LogFile, options: LogOptions, watch: DirectoryWatch?, ended: (@Sendable () async -> Void)?) {
      self.file = file
      self.options = options
      self.watch = watch
      self.ended = ended
      decoder = LogDecoder(timestamps: options.timestamps, since: options.since, limit: options.limitBytes)
    }

    /// The next piece; nil at the end of the log.
    public mutating func next() async throws -> [UInt8]? {
      if !isStarted {
        isStarted = true
        let size = file.facts?.size ?? 0
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
      guard watch != nil, let facts = file.facts else { return false }
      if facts.size < offset {
        decoder.endOfFile(to: &output)
        offset = 0
        return true
      }
      guard let next = successor(of: facts) else { return false }
      // Only when something is written to the new file, nothing is written to the old one any more.
      if let size = file.facts?.size, size > offset { return true }
      decoder.endOfFile(to: &output)
      file = next
      offset = 0
      return true
    }

    /// The file that the engine wrote after this one: the eldest of those that are younger. A slow reader may be behind by
    /// more than one rotation.
    private func successor(of facts: LogFile.Facts) -> LogFile? {
      let current = LogFile.Facts(path: file.path)
      guard current?.identity != facts.identity else { return nil }
      var paths = LogDirectory.rotated(of: file.path).filter { !$0.hasSuffix(".gz") }
      paths.append(file.path)
      let younger = paths.compactMap { path -> (path: String, facts: LogFile.Facts)? in
        guard let other = LogFile.Facts(path: path), other.isRegular, other.identity != facts.identity else { return nil }
        guard other.modified >= facts.modified, other.size > 0 || hasEnded else { return nil }
        return (path, other)
      }
      // `min` keeps the first of equals, and the current file is the last.
      guard let next = younger.min(by: { $0.facts.modified < $1.facts.modified }) else { return nil }
      return try? LogFile(path: next.path, namedLike: file.path)
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
