import SPDY
import Testing

@Suite struct SPDYTests {
  /// Made by zlib with the dictionary of SPDY/3, each block flushed; once with fixed codes, once with codes of their own.
  private static let best = [
    "78f9e3c6a7c202a62346703a2b294a4dcc851625aca9a08006000000ffff",
    "c22e555c02cc2e00000000ffff",
    "0225550c295001940829cb8bc0d9c6c2c0c20048731641e23e139427180d00000000ffff",
    "02e547906c4e3e280bb1082426254310d00fe9190a889ca7302a332a332a33d26440854405104f50d4d037b375f10e8a4c48cf2b55d234"
      + "30b773f5098e4accc82f53d632b4b077f30d894eca2c2857d136b27470f70b8d49ce2aac50d531b672f4f00f8b4dc92eaa54d335b176f2"
      + "0c088f4bcd29ae52d733b571f60a8c884fcb2d1935991c9301000000ffff",
  ]
  private static let ownCodes = [
    "783fe3c6a7c262606060646060e02a2e294a4dcc2da92c48656060604d2d2aca2f02000000ffff",
    "62606060646060e02a2e294a4dcc2da92c48656060602d2e49c9cc03000000ffff",
    "04c1b10d80300c45c1877003d3b8cc3a96e2820291389f82edb90376e05caa8c5bdf48c07a28001b4f09b0e6cd81a372beb9747560f31f"
      + "0000ffff",
    "04c1075a16381006e0df7d3cc01e61a8d2425104945ea583800590f2cd64324121600aed147be47ddf4ea7f34fa7d3797b7b9facd379fb"
      + "2f58c00216afc122b5a2d9c13455020b58c0e23558a456343b98a64a60010b58bc068bd48a6607d354092c60018bd760915ad1ec609a2a"
      + "81052c60f11a2c522b9a1d4c5325b080052c5e83456a45b38369aa0416b080c56bb048ad6876304d95c00216b0780d16a915cd0ea6a912"
      + "58c00216afc122b5a2d9c13455020b58c0e23558a456343b98a64a60010b58bc068bd48a6607d354092c60018bd760915ad1ec609a2a81"
      + "052c60f11a2c522b9a1d4c5325b080052c5e83456a45b38369aa0416b080c56bb048ad6876304d95c00216b0780d16a915cd0ea6a91258"
      + "c00216afc122b5a2d9c13455020b58c0e23558a456343b98a64a60010b58bc068bd48a6607d354092c60018bd760915ad1ec609a2a8105"
      + "2c60f11a2c522b9a1d4c5325b080052c5e83456a45b38369aa0416b080c56bb048ad6876304d95c00216b0780d16a915cd0ea6a91258c0"
      + "0216afc122b5a2d9c13455020b58c0e23558a456343b98a64a60010b58bc068bd48a6607d354092c60018bd760915ad1ec609a2a81052c"
      + "60f11a2c522b9a1d4c5325b080052c5e83456a45b38369aa0416b080c56bb048ad6876304d95c00216b0780d16a915cd0ea6a91258c002"
      + "16afc122b5a2d9c13455020b58c0e23558a456343b98a64a60010b58bc068bd48a6607d354092c60018bd760915ad1ec609a2a81052c60"
      + "f11a2c522b9a1d4c5325b080052c5e83456a45b38369aa0416b080c56bb048ad6876304d95c00216b0780d16a915cd0ea6a952a7d379f3"
      + "dce9bcf9af6b606c6a7e6de7e8f4da52eb1e1c9f5e58df3d3e43bc7fec199a9859dcd83b39e79b87a7dee1f79f96beec7ffb25bfff3ef7"
      + "8d7cf8bcbc79f0fdc2ffc92ffd6e727665ebf0c7a5de96d777a31fe756b7bffebc0a77b56b606c6a7e6de7e8f4da52eb1e1c9f5e58df3d"
      + "3e43bc7fec199a9859dcd83b39e79b87a7dee1f79f96beec7ffb25bfff3ef78d7cf8bcbc79f0fdc2ffc92ffd6e727665ebf0c7a5de96d7"
      + "77a31fe756b7bffebc0a77b56b606c6a7e6de7e8f4da52eb1e1c9f5e58df3d3e43bc7fec199a9859dcd83b39e79b87a7dee1f79f96beec"
      + "7ffb25bfff3ef78d7cf8bcbc79f0fdc2ffc92ffd6e727665ebf0c7a5de96d777a31fe756b7bffebc0a77b56b606c6a7e6de7e8f4da52eb"
      + "1e1c9f5e58df3d3e43bc7fec199a9859dcd83b39e79b87a7dee1f79f96beec7ffb25bfff3ef78d7cf8bcbc79f0fdc2ffc92ffd6e727665"
      + "ebf0c7a5de96d777a31fe756b7bffebc0a77b56b606c6a7e6de7e8f4da52eb1e1c9f5e58df3d3e43bc7fec199a9859dcd83b39e79b87a7"
      + "deff010000ffff",
  ]

  private static let headers: [[String: String]] = [
    ["streamtype": "error"], ["streamtype": "stdin"], ["streamtype": "data", "port": "8080", "requestid": "0"],
    [
      "long": String(repeating: "abcabcabcdefgh user-agent ", count: 40),
      "x": String(decoding: (0..<400).map { UInt8(33 + $0 * 7 % 90) }, as: UTF8.self),
    ],
  ]

  private static func bytes(_ hex: String) -> [UInt8] {
    let digits = Array(hex.utf8).map { $0 < 0x3A ? $0 - 0x30 : $0 - 0x61 + 10 }
    return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
  }

  @Test(arguments: [best, ownCodes])
  func compressedHeadersAreRead(blocks: [String]) throws {
    var reader = SPDYHeaderReader()
    for (block, headers) in zip(blocks, Self.headers) { #expect(try reader.read(Self.bytes(block)) == headers) }
  }

  @Test func whatWeWriteIsRead() throws {
    var writer = SPDYHeaderBlock()
    var reader = SPDYHeaderReader()
    for headers in [["StreamType": "data", "port": "80"], [:], ["a": ""]] as [[String: String]] {
      let lowercased = Dictionary(uniqueKeysWithValues: headers.map { ($0.key.lowercased(), $0.value) })
      #expect(try reader.read(writer.encode(headers.map { ($0.key, $0.value) })) == lowercased)
    }
  }

  @Test func brokenHeadersAreErrors() throws {
    let good = Self.bytes(Self.best[0])
    for end in 0..<good.count - 5 {
      var reader = SPDYHeaderReader()
      #expect(throws: SPDYDecoder.ProtocolError.self) { try reader.read(Array(good[..<end])) }
    }
    // Whatever the bytes are, reading them ends, without more than the limit in memory.
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<2000 {
      var reader = SPDYHeaderReader()
      var bytes = good
      bytes[Int.random(in: 2..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      _ = try? reader.read(bytes)
    }
  }

  @Test(arguments: [1, 2, 7, 1000])
  func streamsThatThePeerOpensAreWhole(size: Int) throws {
    var block = SPDYHeaderBlock()
    let first = block.encode([("streamtype", "error")])
    let second = block.encode([("streamtype", "stdin")])
    var last = SPDYFrame.open(stream: 3, headerBlock: second)
    last[4] = 1
    let bytes = SPDYFrame.open(stream: 1, headerBlock: first) + last + SPDYFrame.ping(id: 1) + SPDYFrame.goAway(lastStream: 0)
    var decoder = SPDYDecoder()
    var events: [SPDYDecoder.Event] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      decoder.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let event = try decoder.next() { events.append(event) }
    }
    #expect(
      events == [
        .opened(stream: 1, headerBlock: first), .opened(stream: 3, headerBlock: second), .ended(stream: 3), .ping(id: 1), .goAway,
      ])
  }

  @Test func aHugeHeadIsRefused() {
    var decoder = SPDYDecoder()
    decoder.append([0x80, 3, 0, 1, 0, 0x10, 0, 0])
    #expect(throws: SPDYDecoder.ProtocolError.self) { try decoder.next() }
  }
}
