/// Finds where the last lines of a log begin, reading backwards in blocks.
struct LogTail {
  private static let blockSize = 16 << 10
  private static let newline = UInt8(ascii: "\n")
  /// More than time, stream and tags ever take.
  private static let headSize = 256

  private let file: LogFile
  private var block: [UInt8] = []
  private var blockStart: Int64 = 0

  /// The offset of the first of the last `count` lines before `end`. Records that continue one another are one line.
  static func offset(ofLast count: Int, in file: LogFile, end: Int64) throws(FileError) -> Int64 {
    guard count > 0 else { return end }
    var tail = LogTail(file: file)
    return try tail.search(count, end)
  }

  private init(file: LogFile) { self.file = file }

  private mutating func search(_ count: Int, _ fileEnd: Int64) throws(FileError) -> Int64 {
    var end = fileEnd
    var found = 0
    while end > 0 {
      // The byte before `end` is the record's own newline, unless the last record has none yet.
      let start = try newlineBefore(end - 1).map { $0 + 1 } ?? 0
      let continues = end == fileEnd ? false : try isPartial(start, end)
      if !continues {
        if found == count { return end }
        found += 1
      }
      end = start
    }
    return 0
  }

  private mutating func newlineBefore(_ position: Int64) throws(FileError) -> Int64? {
    var position = position
    while position > 0 {
      if position <= blockStart || position > blockStart + Int64(block.count) {
        blockStart = max(0, position - Int64(Self.blockSize))
        block = try file.bytes(at: blockStart, count: Int(position - blockStart))
        guard !block.isEmpty else { return nil }
      }
      if let found = block[..<Int(position - blockStart)].lastIndex(of: Self.newline) { return blockStart + Int64(found) }
      position = blockStart
    }
    return nil
  }

  private func isPartial(_ start: Int64, _ end: Int64) throws(FileError) -> Bool {
    // Docker says at the record's end whether the line goes on, other engines at its beginning.
    let length = Int(end - start)
    let head = try bytes(start, min(length, Self.headSize))
    guard head.first == UInt8(ascii: "{") else { return isPartial(head) }
    guard length <= LogDecoder.longestRecord else { return false }
    return isPartial(try bytes(start, length))
  }

  private func isPartial(_ record: ArraySlice<UInt8>) -> Bool {
    LogLine(record.last == Self.newline ? record.dropLast() : record)?.isPartial ?? false
  }

  private func bytes(_ start: Int64, _ count: Int) throws(FileError) -> ArraySlice<UInt8> {
    let offset = Int(start - blockStart)
    if offset >= 0, offset + count <= block.count { return block[offset..<offset + count] }
    return try file.bytes(at: start, count: count)[...]
  }
}
