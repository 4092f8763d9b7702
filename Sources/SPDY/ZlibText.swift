/// A zlib text (RFC 1950, 1951) that arrives in pieces, each ended by a flush so that it can be read on its own.
struct ZlibText: Sendable {
  struct Malformed: Error {
    var problem: String
  }

  /// How far back a text may refer.
  private static let windowSize = 32 << 10

  private let dictionary: [UInt8]
  /// The end of what was read so far.
  private var window: [UInt8] = []
  private var isFirst = true

  /// - Parameter dictionary: what both sides assume to stand before the text, if the text says so.
  init(dictionary: [UInt8]) { self.dictionary = dictionary }

  /// The plain text of the next piece.
  mutating func next(_ piece: [UInt8], limit: Int) throws(Malformed) -> [UInt8] {
    var input = DeflateInput(piece[...])
    if isFirst {
      try readHead(&input)
      isFirst = false
    }
    var inflater = Inflater(output: window, limit: window.count + limit)
    while !input.isAtEnd, try inflater.readBlock(&input) {}
    let text = Array(inflater.output[window.count...])
    window = Array(inflater.output.suffix(Self.windowSize))
    return text
  }

  private mutating func readHead(_ input: inout DeflateInput) throws(Malformed) {
    let method = try input.bits(8)
    let flags = try input.bits(8)
    guard method & 0x0F == 8, (method << 8 | flags) % 31 == 0 else { throw Malformed(problem: "no zlib text") }
    guard flags & 0x20 != 0 else { return }
    // The checksum tells which dictionary; there is only one.
    for _ in 0..<4 { _ = try input.bits(8) }
    window = dictionary
  }
}

/// Reads bits from the lowest to the highest.
struct DeflateInput {
  private var bytes: ArraySlice<UInt8>
  private var buffer = 0
  private var count = 0

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  /// Whether there is nothing but the padding of the last byte.
  var isAtEnd: Bool { bytes.isEmpty && count < 8 }

  mutating func bits(_ wanted: Int) throws(ZlibText.Malformed) -> Int {
    while count < wanted {
      guard let byte = bytes.popFirst() else { throw ZlibText.Malformed(problem: "it ends too early") }
      buffer |= Int(byte) << count
      count += 8
    }
    defer {
      buffer >>= wanted
      count -= wanted
    }
    return buffer & (1 << wanted - 1)
  }

  mutating func skipToByte() {
    buffer >>= count & 7
    count -= count & 7
  }
}

/// Undoes deflate, block by block.
private struct Inflater {
  var output: [UInt8]
  private let limit: Int

  init(output: [UInt8], limit: Int) {
    self.output = output
    self.limit = limit
  }

  private static let lengths: [(base: Int, bits: Int)] = [
    (3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2), (27, 2),
    (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4), (131, 5), (163, 5), (195, 5), (227, 5), (258, 0),
  ]
  private static let distances: [(base: Int, bits: Int)] = [
    (1, 0), (2, 0), (3, 0), (4, 0), (5, 1), (7, 1), (9, 2), (13, 2), (17, 3), (25, 3), (33, 4), (49, 4), (65, 5), (97, 5), (129, 6),
    (193, 6), (257, 7), (385, 7), (513, 8), (769, 8), (1025, 9), (1537, 9), (2049, 10), (3073, 10), (4097, 11), (6145, 11), (8193, 12),
    (12289, 12), (16385, 13), (24577, 13),
  ]
  private static let codeLengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
  private static let fixedLiterals = HuffmanCode(
    lengths: [UInt8](repeating: 8, count: 144) + [UInt8](repeating: 9, count: 112) + [UInt8](repeating: 7, count: 24)
      + [UInt8](repeating: 8, count: 8))
  private static let fixedDistances = HuffmanCode(lengths: [UInt8](repeating: 5, count: 30))

  /// Returns whether another block may follow.
  mutating func readBlock(_ input: inout DeflateInput) throws(ZlibText.Malformed) -> Bool {
    let isLast = try input.bits(1) == 1
    switch try input.bits(2) {
    case 0: try readStored(&input)
    case 1: try readCompressed(&input, Self.fixedLiterals, Self.fixedDistances)
    case 2:
      let (literals, distances) = try readCodes(&input)
      try readCompressed(&input, literals, distances)
    default: throw ZlibText.Malformed(problem: "unknown kind of block")
    }
    return !isLast
  }

  private mutating func readStored(_ input: inout DeflateInput) throws(ZlibText.Malformed) {
    input.skipToByte()
    let count = try input.bits(16)
    guard try input.bits(16) == ~count & 0xFFFF else { throw ZlibText.Malformed(problem: "broken block") }
    for _ in 0..<count { try put(UInt8(try input.bits(8))) }
  }

  private mutating func readCompressed(
    _ input: inout DeflateInput, _ literals: HuffmanCode, _ distances: HuffmanCode
  ) throws(ZlibText.Malformed) {
    while true {
      let symbol = try literals.symbol(&input)
      if symbol < 256 {
        try put(UInt8(symbol))
        continue
      }
      if symbol == 256 { return }
      guard symbol - 257 < Self.lengths.count else { throw ZlibText.Malformed(problem: "unknown length") }
      let length = Self.lengths[symbol - 257]
      let count = length.base + (try input.bits(length.bits))
      let code = try distances.symbol(&input)
      guard code < Self.distances.count else { throw ZlibText.Malformed(problem: "unknown distance") }
      let distance = Self.distances[code].base + (try input.bits(Self.distances[code].bits))
      guard distance <= output.count else { throw ZlibText.Malformed(problem: "it refers to what was never there") }
      for _ in 0..<count { try put(output[output.count - distance]) }
    }
  }

  private func readCodes(_ input: inout DeflateInput) throws(ZlibText.Malformed) -> (HuffmanCode, HuffmanCode) {
    let literalCount = try input.bits(5) + 257
    let distanceCount = try input.bits(5) + 1
    let codeCount = try input.bits(4) + 4
    var codeLengths = [UInt8](repeating: 0, count: 19)
    for index in 0..<codeCount { codeLengths[Self.codeLengthOrder[index]] = UInt8(try input.bits(3)) }
    let code = HuffmanCode(lengths: codeLengths)
    var lengths: [UInt8] = []
    while lengths.count < literalCount + distanceCount {
      let symbol = try code.symbol(&input)
      switch symbol {
      case 0..<16: lengths.append(UInt8(symbol))
      case 16:
        guard let last = lengths.last else { throw ZlibText.Malformed(problem: "broken codes") }
        lengths.append(contentsOf: repeatElement(last, count: 3 + (try input.bits(2))))
      case 17: lengths.append(contentsOf: repeatElement(0, count: 3 + (try input.bits(3))))
      default: lengths.append(contentsOf: repeatElement(0, count: 11 + (try input.bits(7))))
      }
    }
    guard lengths.count == literalCount + distanceCount else { throw ZlibText.Malformed(problem: "broken codes") }
    return (HuffmanCode(lengths: Array(lengths[..<literalCount])), HuffmanCode(lengths: Array(lengths[literalCount...])))
  }

  private mutating func put(_ byte: UInt8) throws(ZlibText.Malformed) {
    guard output.count < limit else { throw ZlibText.Malformed(problem: "it is too long") }
    output.append(byte)
  }
}

/// A canonical Huffman code.
private struct HuffmanCode: Sendable {
  /// How many symbols have a code of each length.
  private var counts = [Int](repeating: 0, count: 16)
  /// Symbols in the order of their codes.
  private var symbols: [Int] = []

  /// - Parameter lengths: of each symbol's code, at most 15; 0: the symbol isn't used.
  init(lengths: [UInt8]) {
    for length in lengths { counts[Int(length)] += 1 }
    counts[0] = 0
    for length in 1..<UInt8(16) { symbols += lengths.indices.filter { lengths[$0] == length } }
  }

  func symbol(_ input: inout DeflateInput) throws(ZlibText.Malformed) -> Int {
    var code = 0
    var first = 0
    var index = 0
    for length in 1..<16 {
      code |= try input.bits(1)
      let count = counts[length]
      if code - count < first { return symbols[index + code - first] }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw ZlibText.Malformed(problem: "unknown code")
  }
}
