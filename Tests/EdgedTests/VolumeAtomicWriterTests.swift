import CLinux
import Glibc
import Testing

@testable import Edged

@Suite struct VolumeAtomicWriterTests {
  let test = VolumeTestDirectory()

  private func file(_ text: String, mode: UInt32 = 0o644) -> AtomicWriter.File { .init(bytes: Array(text.utf8), mode: mode) }

  private func dataDirectories() throws -> [String] {
    try FileSystem.list(test.path).filter { $0.hasPrefix("..2") }
  }

  @Test func publishesFilesThroughLinks() throws {
    let writer = AtomicWriter(directory: test.path, ownership: nil)
    #expect(try writer.write(["a": file("1", mode: 0o400), "dir/./b": file("2"), "dir/c": file("3")]))
    #expect(try volumeText(test.path + "/a") == "1")
    #expect(try volumeText(test.path + "/dir/b") == "2")
    #expect(try FileSystem.readLink(test.path + "/a") == "..data/a")
    #expect(try FileSystem.readLink(test.path + "/dir") == "..data/dir")
    #expect(try FileSystem.status(test.path + "/a")?.mode == 0o400)
    #expect(try FileSystem.readLink(test.path + "/..data") == dataDirectories().first)
    let name = try #require(try dataDirectories().first)
    #expect(name.wholeMatch(of: /\.\.\d{4}(_\d\d){5}\.[0-9a-f]{10}/) != nil)
    #expect(try FileSystem.list(test.path) == ["..data", "a", "dir", name].sorted())
  }

  @Test func writesNothingWhenNothingChanged() throws {
    let writer = AtomicWriter(directory: test.path, ownership: nil)
    let payload = ["a": file("1"), "dir/b": file("2")]
    #expect(try writer.write(payload))
    let before = try ["", "/..data", "/a", "/dir/b"].map { try FileSystem.status(test.path + $0, followLinks: false) }
    #expect(try !writer.write(payload))
    #expect(try !AtomicWriter(directory: test.path, ownership: nil).write(payload))
    #expect(try ["", "/..data", "/a", "/dir/b"].map { try FileSystem.status(test.path + $0, followLinks: false) } == before)
  }

  @Test func replacesAllFilesAtOnceAndRemovesStaleOnes() throws {
    let writer = AtomicWriter(directory: test.path, ownership: nil)
    try writer.write(["a": file("1"), "old/x": file("1")])
    let first = try dataDirectories()
    // What an update that was interrupted leaves.
    try FileSystem.makeDirectory(test.path + "/..2020_01_01_00_00_00.0123456789", mode: 0o755)
    try FileSystem.makeSymbolicLink(test.path + "/..data_tmp", to: "..2020_01_01_00_00_00.0123456789")
    #expect(try writer.write(["a": file("2"), "new": file("3")]))
    #expect(try volumeText(test.path + "/a") == "2")
    #expect(try volumeText(test.path + "/new") == "3")
    #expect(try FileSystem.status(test.path + "/old", followLinks: false) == nil)
    #expect(try dataDirectories().count == 1 && dataDirectories() != first)
    #expect(try FileSystem.list(test.path).count == 4)
  }

  @Test(arguments: ["mode", "removed file", "extra file", "removed link", "changed bytes"])
  func repairsWhatWasChanged(what: String) throws {
    let writer = AtomicWriter(directory: test.path, ownership: nil)
    let payload = ["a": file("1"), "b": file("2")]
    try writer.write(payload)
    switch what {
    case "mode": try FileSystem.changeMode(test.path + "/a", 0o600)
    case "removed file": try FileSystem.remove(test.path + "/..data/a")
    case "extra file": _ = try FileSystem.create(test.path + "/..data/c", [], mode: 0o644)
    case "removed link": try FileSystem.remove(test.path + "/b")
    default: volumeShell("printf 3 > \(test.path)/a")
    }
    #expect(try writer.write(payload))
    #expect(try volumeText(test.path + "/a") == "1")
    #expect(try volumeText(test.path + "/b") == "2")
    #expect(try FileSystem.status(test.path + "/a")?.mode == 0o644)
    #expect(try FileSystem.status(test.path + "/..data/c") == nil)
    #expect(try !writer.write(payload))
  }

  @Test(arguments: [
    ("/etc/passwd", "must be relative"), ("", "must be relative"), (".", "must be relative"), ("a/../b", "must not contain"),
    ("..", "must not contain"), ("../b", "must not contain"), ("..data", "must not start"), ("..x/a", "must not start"),
    (String(repeating: "n", count: 256), "is too long"),
  ])
  func refusesPathsThatLeave(path: String, reason: String) throws {
    let error = #expect(throws: VolumeError.self) {
      try AtomicWriter(directory: test.path, ownership: nil).write([path: file("x")])
    }
    #expect(error?.description.contains(reason) == true)
    #expect(try FileSystem.list(test.path) == [])
  }

  @Test func refusesAFileThatIsADirectoryToo() throws {
    #expect(throws: VolumeError("path \"a\" can't be a file: \"a/b\" is below it")) {
      try AtomicWriter(directory: test.path, ownership: nil).write(["a": file("x"), "a/b": file("y")])
    }
  }

  @Test(.enabled(if: volumeTestsAreRoot, "changing owners needs root")) func filesBelongToTheGroupBeforeTheyShow() throws {
    let writer = AtomicWriter(directory: test.path, ownership: VolumeOwnership(group: 4711, isReadOnly: true))
    try FileSystem.changeMode(test.path, 0o777)
    let payload = ["dir/a": file("1", mode: 0o600), "b": file("1", mode: 0o644)]
    #expect(try writer.write(payload))
    #expect(try FileSystem.status(test.path)?.mode == 0o2777)
    for path in ["/dir/a", "/dir", "/b", ""] { #expect(try FileSystem.status(test.path + path)?.groupID == 4711) }
    #expect(try FileSystem.status(test.path + "/b", followLinks: false)?.groupID == 4711)
    #expect(try FileSystem.status(test.path + "/dir/a")?.mode == 0o640)
    #expect(try FileSystem.status(test.path + "/dir")?.mode == 0o2755)
    #expect(try !writer.write(payload))
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func aFullDiskKeepsTheOldFiles() throws {
    let disk = try test.smallDisk("disk", bytes: 64 * 1024)
    let writer = AtomicWriter(directory: disk, ownership: nil)
    try writer.write(["a": file("old")])
    let before = try FileSystem.list(disk)
    let error = #expect(throws: FileError.self) {
      try writer.write(["a": file("new"), "big": file(String(repeating: "x", count: 128 * 1024))])
    }
    #expect(error?.isOutOfSpace == true)
    #expect(error?.description.hasSuffix("/big: No space left on device") == true)
    #expect(try volumeText(disk + "/a") == "old")
    #expect(try FileSystem.list(disk) == before)
    #expect(try writer.write(["a": file("new")]))
  }
}
