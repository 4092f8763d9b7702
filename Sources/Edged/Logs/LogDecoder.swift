import KubernetesAPI

/// Turns the bytes of a log file into the lines that were printed.
///
/// It holds at most one unfinished record of the file, and what one stream printed within a line of the other.
struct LogDecoder {
  /// A record longer than this is passed on in pieces.
  static let longestRecord = 256 << 10
  /// How much of one stream waits for the end of the other one's line.
  static let longestHeld = 64 << 10

  private static let newline = UInt8(ascii: "\n")

  private enum LongRecord {
    case none
    /// The head was passed on; what comes up to the newline is content, too.
    case passing(LogLine.Stream, isPartial: Bool)
    case dropping
  }

  private let timestamps: Bool
  private let since: Timestamp?
  private var remaining: Int64?
  private var record: [UInt8] = []
  private var longRecord = LongRecord.none
  /// The stream whose line has no end yet.
  private var open: LogLine.Stream?
  private var held: [UInt8] = []
  private var isHeldOpen = false

  /// - Parameters:
  ///   - since: records before it are left out.
  ///   - limit: bytes of output after which nothing more comes.
  init(timestamps: Bool = false, since: Timestamp? = nil, limit: Int64? = nil) {
    self.timestamps = timestamps
    self.since = since
    self.remaining = limit
  }

  /// Whether the limit is reached.
  var isDone: Bool { remaining.map { $0 <= 0 } ?? false }

  /// Takes the next bytes of the file.
  mutating func append(_ bytes: [UInt8], to output: inout [UInt8]) {
    var rest = bytes[...]
    while !isDone, let end = rest.firstIndex(of: Self.newline) {
      finish(rest[..<end], to: &output)
      rest = rest[(end + 1)...]
    }
    guard !rest.isEmpty, !isDone else { return }
    switch longRecord {
    case .none: record.append(contentsOf: rest)
    case .passing: emit(rest, to: &output)
    case .dropping: break
    }
    if record.count > Self.longestRecord { beginLongRecord(to: &output) }
  }

  /// Takes what is left at the end of a file: a last record may lack its newline.
  mutating func endOfFile(to output: inout [UInt8]) {
    if !record.isEmpty { finish([], to: &output) }
    longRecord = .none
  }

  /// Hands out what was held back, since nothing more will come.
  mutating func flush(to output: inout [UInt8]) {
    endOfFile(to: &output)
    releaseHeld(to: &output)
  }

  private mutating func finish(_ end: ArraySlice<UInt8>, to output: inout [UInt8]) {
    switch longRecord {
    case .none:
      if record.isEmpty {
        take(end, to: &output)
      } else {
        record.append(contentsOf: end)
        let whole = record
        record = []
        take(whole[...], to: &output)
      }
    case .passing(let stream, let isPartial):
      emit(end, to: &output)
      if !isPartial { close(stream, to: &output) }
    case .dropping: break
    }
    longRecord = .none
  }

  private mutating func beginLongRecord(to output: inout [UInt8]) {
    let head = record
    record = []
    // Docker cuts lines at 16 KiB: no record of its own is that long.
    guard head.first != UInt8(ascii: "{"), var line = LogLine(head[...]), isWanted(line) else {
      longRecord = .dropping
      return
    }
    longRecord = .passing(line.stream, isPartial: line.isPartial)
    if let open, open != line.stream { releaseHeld(to: &output, endingLineOf: open) }
    line.isPartial = true
    write(line, to: &output)
  }

  private mutating func take(_ record: ArraySlice<UInt8>, to output: inout [UInt8]) {
    guard let line = LogLine(record), isWanted(line) else { return }
    write(line, to: &output)
  }

  private func isWanted(_ line: LogLine) -> Bool {
    guard let since else { return true }
    guard let time = Timestamp(String(decoding: line.time, as: UTF8.self)) else { return false }
    return time >= since
  }

  private mutating func write(_ line: LogLine, to output: inout [UInt8]) {
    if let open, open != line.stream {
      if timestamps, !isHeldOpen { held += line.timestamp + [UInt8(ascii: " ")] }
      held += line.content
      if !line.isPartial { held.append(Self.newline) }
      isHeldOpen = line.isPartial
      if held.count > Self.longestHeld { releaseHeld(to: &output, endingLineOf: open) }
      return
    }
    if timestamps, open == nil { emit((line.timestamp + [UInt8(ascii: " ")])[...], to: &output) }
    emit(line.content, to: &output)
    open = line.stream
    if !line.isPartial { close(line.stream, to: &output) }
  }

  /// Ends the open line; what the other stream printed meanwhile follows.
  private mutating func close(_ stream: LogLine.Stream, to output: inout [UInt8]) {
    emit([Self.newline], to: &output)
    open = nil
    if !held.isEmpty {
      emit(held[...], to: &output)
      open = isHeldOpen ? (stream == .stdout ? .stderr : .stdout) : nil
      held = []
      isHeldOpen = false
    }
  }

  private mutating func releaseHeld(to output: inout [UInt8], endingLineOf stream: LogLine.Stream? = nil) {
    guard let open = stream ?? open, !held.isEmpty || stream != nil else { return }
    close(open, to: &output)
  }

  private mutating func emit(_ bytes: ArraySlice<UInt8>, to output: inout [UInt8]) {
    guard let left = remaining else {
      output += bytes
      return
    }
    let taken = bytes.prefix(Int(min(Int64(bytes.count), max(0, left))))
    output += taken
    remaining = left - Int64(taken.count)
  }
}
