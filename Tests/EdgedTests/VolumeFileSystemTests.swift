import CLinux
import Glibc
import Testing

@testable import Edged

@Suite struct VolumeFileSystemTests {
  let test = VolumeTestDirectory()

  @Test(arguments: [0o777, 0o750, 0o700, 0o1777, 0o2775] as [UInt32])
  func directoriesHaveExactlyTheirMode(mode: UInt32) throws {
    let path = test.path + "/a/b"
    #expect(try FileSystem.makeDirectories(path, mode: mode))
    #expect(try FileSystem.status(path)?.mode == mode)
    #expect(try FileSystem.status(test.path + "/a")?.mode == mode)
    #expect(try !FileSystem.makeDirectories(path, mode: 0o711))
    #expect(try FileSystem.status(path)?.mode == mode)
  }

  @Test func errorsNameOperationPathAndReason() throws {
    let path = try test.file("file")
    let error = #expect(throws: FileError.self) { try FileSystem.makeDirectories(path + "/below", mode: 0o755) }
    #expect(error?.description == "create directory \(path)/below: Not a directory")
    #expect(throws: FileError("create", path, code: EEXIST)) { try FileSystem.create(path, [], mode: 0o644) }
  }

  @Test func readsUpToALimit() throws {
    let path = try test.file("file", "12345")
    #expect(try FileSystem.read(path, limit: 5) == Array("12345".utf8))
    #expect(throws: FileError("read", path, code: EFBIG)) { try FileSystem.read(path, limit: 4) }
    #expect(try FileSystem.read(test.path + "/none", limit: 4) == nil)
  }

  @Test func replacingLeavesNothingElseBehind() throws {
    let path = try test.file("file", "old", mode: 0o644)
    try FileSystem.replace(path, with: "new".utf8, mode: 0o600)
    #expect(try volumeText(path) == "new")
    #expect(try FileSystem.status(path)?.mode == 0o600)
    #expect(try FileSystem.list(test.path) == ["file"])
  }

  @Test func listsInByteOrder() throws {
    for name in ["b", "a", ".c", "Z"] { _ = try test.file(name) }
    #expect(try FileSystem.list(test.path) == [".c", "Z", "a", "b"])
    #expect(try FileSystem.list(test.path + "/none") == [])
  }

  @Test func removesTreesDeeperThanAPathCanBe() throws {
    let root = try test.directory("tree")
    var directory = open(root, O_RDONLY | O_DIRECTORY)
    let name = String(repeating: "d", count: 200)
    for _ in 0..<600 {
      #expect(mkdirat(directory, name, 0o755) == 0)
      close(openat(directory, "file", O_CREAT | O_WRONLY, 0o644))
      let next = openat(directory, name, O_RDONLY | O_DIRECTORY)
      close(directory)
      directory = next
    }
    close(directory)
    #expect(try FileSystem.usage(root).inodes == 1201)
    try FileSystem.removeTree(root)
    #expect(try FileSystem.status(root) == nil)
  }

  @Test func removesNamesThatAreNoText() throws {
    let root = try test.directory("tree")
    let name: [CChar] = [-1, -2, 0x61, 0]
    let path = Array((root + "/").utf8CString.dropLast()) + name
    #expect(mkdir(path, 0o755) == 0)
    close(open(path.dropLast() + [0x2F, -1, 0], O_CREAT | O_WRONLY, 0o644))
    try FileSystem.removeTree(root)
    #expect(try FileSystem.status(root) == nil)
  }

  @Test func removingATreeFollowsNoLinks() throws {
    let outside = try test.directory("outside")
    _ = try test.file("outside/precious", "x")
    let tree = try test.directory("tree/sub")
    try FileSystem.makeSymbolicLink(tree + "/link", to: outside)
    try FileSystem.makeSymbolicLink(test.path + "/root", to: outside)
    try FileSystem.removeTree(test.path + "/tree")
    try FileSystem.removeTree(test.path + "/root")
    #expect(try volumeText(outside + "/precious") == "x")
    #expect(try FileSystem.list(test.path) == ["outside"])
    try FileSystem.removeTree(test.path + "/none")
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root"), arguments: [true, false])
  func removingATreeStopsAtMounts(sameFileSystem: Bool) throws {
    let target = try test.directory("tree/a/mounted")
    let precious = try test.directory("precious")
    if sameFileSystem { try Mount.bind(precious, at: target) } else { try Mount.tmpfs(at: target, size: 1 << 20) }
    try FileSystem.create(target + "/file", "x".utf8, mode: 0o644)
    #expect(throws: FileError("enter mounted directory", target, code: EBUSY)) { try FileSystem.removeTree(test.path + "/tree") }
    #expect(try volumeText(target + "/file") == "x")
    try Mount.unmount(target)
    try FileSystem.removeTree(test.path + "/tree")
    if sameFileSystem { #expect(try volumeText(precious + "/file") == "x") }
  }

  @Test func readsMountTables() {
    let table = MountTable(
      text: Array(
        """
        22 1 0:20 / / rw shared:1 - ext4 /dev/sda rw
        23 22 0:21 / /var/lib/kubelet rw - ext4 /dev/sdb rw
        30 23 0:30 / /var/lib/kubelet/pods/1/a\\040b rw,noatime shared:5 master:1 - tmpfs tmpfs rw
        31 23 0:31 / /var/lib/kubelet/pods/1 rw - tmpfs tmpfs rw
        32 23 0:32 / /var/lib/kubelet/pods/12 rw - tmpfs tmpfs rw

        """.utf8))
    #expect(table.paths(below: "/var/lib/kubelet/pods/1") == ["/var/lib/kubelet/pods/1", "/var/lib/kubelet/pods/1/a b"])
    #expect(table.mount(of: "/var/lib/kubelet/x") == .init(path: "/var/lib/kubelet", isShared: false))
    #expect(table.mount(of: "/var/lib") == .init(path: "/", isShared: true))
  }

  @Test func ownThreadHandsBackResultsErrorsAndCancellation() async throws {
    #expect(try await onOwnThread("test") { 42 } == 42)
    await #expect(throws: VolumeError("no")) { try await onOwnThread("test") { throw VolumeError("no") } }
    var pipes: [Int32] = [0, 0]
    #expect(pipe(&pipes) == 0)
    let (reader, writer) = (pipes[0], pipes[1])
    let hanging = Task {
      try await onOwnThread("test") {
        var byte: UInt8 = 0
        _ = read(reader, &byte, 1)
        close(reader)
      }
    }
    hanging.cancel()
    await #expect(throws: CancellationError.self) { try await hanging.value }
    close(writer)
  }
}
