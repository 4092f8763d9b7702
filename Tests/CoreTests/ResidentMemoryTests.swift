import Glibc
import Testing

@testable import Core

@Suite
struct ResidentMemoryTests {
  @Test(
    arguments: [
      ("7f00-7fff r-xp 00001000 fe:00 12 /usr/lib/libm.so.6", 0x7f00..<0x7fff),
      ("7f00-7fff r-xp 00001000 fe:00 12 /opt/a program", 0x7f00..<0x7fff),
      ("7f00-7fff r--p 00001000 fe:00 12 /usr/lib/libm.so.6", nil),
      ("7f00-7fff rwxp 00000000 00:00 0", nil),
      ("7ffd-7fff r-xp 00000000 00:00 0 [vdso]", nil),
      ("nonsense", nil),
    ] as [(String, Range<UInt>?)])
  func onlyCodeOfFilesIsUnmapped(line: String, range: Range<UInt>?) {
    #expect(ResidentMemory.codeRange(line) == range)
  }

  @Test
  func codeLeavesAndRunsOn() throws {
    func mappedFilePages() throws -> Int {
      let statm = try #require(fopen("/proc/self/statm", "re"))
      defer { fclose(statm) }
      var line = [CChar](repeating: 0, count: 256)
      try #require(fgets(&line, Int32(line.count), statm) != nil)
      let fields = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self).split(separator: " ")
      return try #require(Int(fields[2]))
    }
    let before = try mappedFilePages()
    ResidentMemory.release()
    #expect(try mappedFilePages() < before)
  }
}
