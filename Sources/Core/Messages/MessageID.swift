import CLinux
import Glibc
import Synchronization

/// Makes message ids: random UUIDs (version 4), lower case with dashes.
public enum MessageID {
  /// Random bytes are fetched many at a time: a system call per id would cost more than all the rest of a message.
  private struct Pool {
    var bytes: [UInt8] = []
    var used = 0
  }

  private static let pool = Mutex(Pool())
  private static let digits: [UInt8] = Array("0123456789abcdef".utf8)

  public static func make() -> String {
    let (high, low) = pool.withLock { pool in
      if pool.used + 16 > pool.bytes.count { refill(&pool) }
      defer { pool.used += 16 }
      return pool.bytes.withUnsafeBytes { bytes in
        (
          bytes.loadUnaligned(fromByteOffset: pool.used, as: UInt64.self),
          bytes.loadUnaligned(fromByteOffset: pool.used + 8, as: UInt64.self)
        )
      }
    }
    let versioned = high & 0xFFFF_FFFF_FFFF_0FFF | 0x4000
    let variant = low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
    return String(unsafeUninitializedCapacity: 36) { text in
      var place = 0
      for (index, half) in [versioned, variant].enumerated() {
        var shift = 60
        while shift >= 0 {
          text[place] = digits[Int(half >> UInt64(shift) & 0xF)]
          place += 1
          // 8-4-4-4-12
          if place == 8 || place == 13 || place == 18 || (index == 1 && place == 23) {
            text[place] = 0x2D
            place += 1
          }
          shift -= 4
        }
      }
      return place
    }
  }

  private static func refill(_ pool: inout Pool) {
    if pool.bytes.isEmpty { pool.bytes = [UInt8](repeating: 0, count: 4096) }
    var filled = 0
    while filled < pool.bytes.count {
      let count = pool.bytes.withUnsafeMutableBytes { getrandom($0.baseAddress?.advanced(by: filled), $0.count - filled, 0) }
      if count > 0 {
        filled += count
      } else if errno != EINTR {
        // Kernels without getrandom: the standard library has a source of its own.
        var generator = SystemRandomNumberGenerator()
        for index in filled..<pool.bytes.count { pool.bytes[index] = UInt8.random(in: 0...255, using: &generator) }
        filled = pool.bytes.count
      }
    }
    pool.used = 0
  }
}
