/// Finds the line of a value inside JSON that is known to be well formed.
struct JSONLineFinder {
  private let bytes: [UInt8]
  private var position = 0

  /// Counted from 1; nil if there is no value at `path`.
  static func line(of path: [PathComponent], in bytes: [UInt8]) -> Int? {
    var finder = JSONLineFinder(bytes: bytes)
    guard let place = finder.place(of: path) else { return nil }
    return 1 + bytes[..<place].count { $0 == 0x0A }
  }

  private init(bytes: [UInt8]) { self.bytes = bytes }

  private mutating func place(of path: [PathComponent]) -> Int? {
    skipSpace()
    var place = position
    for component in path {
      guard let found = enter(component) else { return nil }
      place = found
    }
    return place
  }

  private var current: UInt8 { position < bytes.count ? bytes[position] : 0 }

  private mutating func skipSpace() {
    while position < bytes.count, JSONParser.isSpace(bytes[position]) { position += 1 }
  }

  /// Moves to the part of the current value; the place of its key or of itself.
  private mutating func enter(_ component: PathComponent) -> Int? {
    let opening = current
    guard opening == 0x7B || opening == 0x5B else { return nil }
    position += 1
    var index = 0
    while true {
      skipSpace()
      if current == 0x7D || current == 0x5D || position >= bytes.count { return nil }
      let start = position
      if opening == 0x7B {
        skipValue()
        let key = try? JSONValue(json: Array(bytes[start..<position])).string
        skipSpace()
        position += 1  // The colon.
        skipSpace()
        if let key, component == .key(key) { return start }
      } else if component == .index(index) {
        return start
      }
      skipValue()
      index += 1
      skipSpace()
      if current == 0x2C { position += 1 }
    }
  }

  private mutating func skipValue() {
    var depth = 0
    repeat {
      switch current {
      case 0x22:
        position += 1
        while position < bytes.count, current != 0x22 { position += current == 0x5C ? 2 : 1 }
        position += 1
      case 0x7B, 0x5B:
        depth += 1
        position += 1
      case 0x7D, 0x5D:
        depth -= 1
        position += 1
      case 0x2C, 0x3A, 0x20, 0x0A, 0x0D, 0x09: position += 1
      default:
        while position < bytes.count, !JSONParser.isSpace(current), current != 0x2C, current != 0x7D, current != 0x5D { position += 1 }
      }
    } while depth > 0 && position < bytes.count
  }
}
