/// A hash that is the same in every process and version, unlike Swift's own: FNV-1a with 64 bits. It tells apart what nobody forges.
public enum StableHash {
  public static let start: UInt64 = 0xCBF2_9CE4_8422_2325

  public static func value(of bytes: some Sequence<UInt8>, from start: UInt64 = start) -> UInt64 {
    bytes.reduce(start) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }
}
