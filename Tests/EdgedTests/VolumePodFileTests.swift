import CLinux
import Glibc
import KubernetesAPI
import Testing

@testable import Edged

@Suite struct VolumePodFileTests {
  let test = VolumeTestDirectory()

  private func message(
    _ path: String?, _ policy: TerminationMessagePolicy? = .file, exitCode: Int32 = 1, log: String? = "log"
  ) -> String {
    TerminationMessageFile.message(at: path, policy: policy, exitCode: exitCode) { lines, bytes in
      #expect(lines == 80 && bytes == 2048)
      guard let log else { throw VolumeError("no log") }
      return Array(log.utf8)
    }
  }

  @Test func terminationFilesAreForEveryone() throws {
    var container = Container(name: "main")
    let first = try TerminationMessageFile.create(for: container, podUID: "u", paths: test.paths)
    #expect(first.mount.containerPath == "/dev/termination-log")
    #expect(try FileSystem.status(first.mount.hostPath)?.mode == 0o666)
    let directory = test.paths.containerDirectory("main", podUID: "u")
    #expect(first.hostPath.dropFirst(directory.count).wholeMatch(of: /\/[0-9a-f]{8}/) != nil)
    #expect(try FileSystem.status(directory)?.mode == 0o750)
    container.terminationMessagePath = "/last"
    let second = try TerminationMessageFile.create(for: container, podUID: "u", paths: test.paths)
    #expect(second.mount.containerPath == "/last")
    #expect(second.hostPath != first.hostPath)
    try TerminationMessageFile.removeOld(container: "main", podUID: "u", paths: test.paths, keeping: [second.hostPath])
    #expect(try FileSystem.list(directory).map { directory + "/" + $0 } == [second.hostPath])
  }

  @Test func readsTheEndOfTheFile() throws {
    let long = try test.file("long", String(repeating: "x", count: 5000) + String(repeating: "y", count: 4096))
    #expect(message(long) == String(repeating: "y", count: 4096))
    // 4096 bytes begin in the middle of a character.
    let cut = try test.file("cut", String(repeating: "ä", count: 3000) + "x")
    #expect(message(cut) == String(repeating: "ä", count: 2047) + "x")
    #expect(message(test.path + "/none") == "")
    #expect(message(nil) == "")
  }

  @Test func fallsBackToLogsOnlyAfterErrorsWithoutAMessage() throws {
    let full = try test.file("full", "words")
    let empty = try test.file("empty")
    #expect(message(full, .fallbackToLogsOnError) == "words")
    #expect(message(empty, .fallbackToLogsOnError) == "log")
    #expect(message(test.path + "/none", .fallbackToLogsOnError) == "log")
    #expect(message(empty, .fallbackToLogsOnError, exitCode: 0) == "")
    #expect(message(empty, .file) == "")
    #expect(message(empty, nil) == "")
    #expect(message(empty, .fallbackToLogsOnError, log: String(repeating: "l", count: 3000)).utf8.count == 2048)
    #expect(message(empty, .fallbackToLogsOnError, log: nil) == "Error on reading termination message from logs: no log")
  }

  @Test func neverFollowsLinksNorBlocks() throws {
    try FileSystem.makeSymbolicLink(test.path + "/link", to: "/etc/passwd")
    #expect(!message(test.path + "/link").contains("root:"))
    #expect(mkfifo(test.path + "/pipe", 0o666) == 0)
    #expect(message(test.path + "/pipe") == "")
  }

  @Test(arguments: [("a", "b", "a: b"), ("a", "", "a"), ("", "b", "b"), ("", "", "")])
  func joinsWithTheEnginesMessage(engine: String, container: String, joined: String) {
    #expect(TerminationMessageFile.joined(engine: engine, container: container) == joined)
  }

  @Test func allContainersOfAPodShareABudget() {
    let long = String(repeating: "x", count: 20_000)
    #expect(TerminationMessageFile.limited(long, containerCount: 1).utf8.count == 12_288)
    #expect(TerminationMessageFile.limited(long, containerCount: 5).utf8.count == 2457)
    #expect(TerminationMessageFile.limited("short", containerCount: 5) == "short")
    let wide = TerminationMessageFile.limited(String(repeating: "ä", count: 5000), containerCount: 5)
    #expect(wide == String(repeating: "ä", count: 1228))
  }

  @Test func etcHostsKeepsItsInode() throws {
    try FileSystem.makeDirectories(test.paths.pod("u"), mode: 0o750)
    let file = EtcHostsFile(podUID: "u", paths: test.paths)
    #expect(file.mount.containerPath == "/etc/hosts")
    #expect(try file.write("long content\n"))
    let before = try #require(try FileSystem.status(file.hostPath))
    #expect(before.mode == 0o644)
    #expect(try !file.write("long content\n"))
    #expect(try FileSystem.status(file.hostPath) == before)
    #expect(try file.write("short\n"))
    #expect(try volumeText(file.hostPath) == "short\n")
    #expect(try FileSystem.status(file.hostPath)?.isSame(as: before) == true)
    try FileSystem.changeMode(file.hostPath, 0o600)
    #expect(try file.write("short\n"))
    #expect(try FileSystem.status(file.hostPath)?.mode == 0o644)
  }

  @Test func podDirectoriesAreMadeOnce() throws {
    let pod = volumePod([])
    let directories = PodDirectories(paths: test.paths)
    try directories.create(for: pod)
    let modes = try ["", "/volumes", "/plugins", "/containers"].map { try FileSystem.status(test.paths.pod("uid-1") + $0)?.mode }
    #expect(modes == [0o750, 0o750, 0o750, 0o750])
    #expect(try FileSystem.status(test.path + "/logs/shop_web_uid-1")?.mode == 0o755)
    let before = try FileSystem.status(test.paths.pod("uid-1"))
    try directories.create(for: pod)
    #expect(try FileSystem.status(test.paths.pod("uid-1")) == before)
  }

  @Test func podDirectoriesThatCantBeMadeLeaveNothing() throws {
    let pod = volumePod([])
    try FileSystem.makeDirectories(test.paths.pods, mode: 0o750)
    try FileSystem.makeDirectories(test.paths.podLogs, mode: 0o755)
    _ = try test.file("logs/shop_web_uid-1")
    let error = #expect(throws: FileError.self) { try PodDirectories(paths: test.paths).create(for: pod) }
    #expect(error?.description == "create directory \(test.path)/logs/shop_web_uid-1: Not a directory")
    #expect(try FileSystem.list(test.paths.pods) == [])
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func theRootIsMadeAShared() throws {
    let directories = PodDirectories(paths: test.paths)
    try directories.prepareRoot()
    let root = FileSystem.resolved(test.paths.root)
    #expect(try MountTable.read().mount(of: root)?.isShared == true)
    let before = try MountTable.read().entries
    try directories.prepareRoot()
    #expect(try MountTable.read().entries.filter { $0.path.hasPrefix(root) } == before.filter { $0.path.hasPrefix(root) })
    #expect(try FileSystem.status(test.paths.podLogs)?.mode == 0o755)
  }
}
