import CLinux
import Glibc
import Testing

@testable import Edged

@Suite(.enabled(if: volumeTestsAreRoot, "changing owners needs root")) struct VolumeOwnershipTests {
  let test = VolumeTestDirectory()

  @Test(
    arguments: [
      (false, 0o600, 0o660, 0o755, 0o2775), (false, 0o755, 0o775, 0o700, 0o2770), (true, 0o600, 0o640, 0o755, 0o2755),
      (true, 0o400, 0o440, 0o700, 0o2750), (false, 0o777, 0o777, 0o1777, 0o3777),
    ] as [(Bool, UInt32, UInt32, UInt32, UInt32)])
  func opensFilesToTheGroup(isReadOnly: Bool, file: UInt32, newFile: UInt32, directory: UInt32, newDirectory: UInt32) throws {
    let root = try test.directory("root", mode: directory)
    let sub = try test.directory("root/sub", mode: directory)
    _ = try test.file("root/sub/file", mode: file)
    let outside = try test.file("outside", mode: 0o600)
    try FileSystem.makeSymbolicLink(root + "/link", to: outside)
    try VolumeOwnership(group: 4711, isReadOnly: isReadOnly).apply(to: root)
    #expect(try FileSystem.status(sub + "/file")?.mode == newFile)
    for path in [root, sub] { #expect(try FileSystem.status(path)?.mode == newDirectory) }
    for path in [root, sub, sub + "/file", root + "/link"] {
      #expect(try FileSystem.status(path, followLinks: false)?.groupID == 4711)
    }
    #expect(try FileSystem.status(outside)?.groupID != 4711)
    #expect(try FileSystem.status(outside)?.mode == 0o600)
  }

  @Test func onRootMismatchTrustsARightRoot() throws {
    let root = try test.directory("root")
    try VolumeOwnership(group: 4711, isReadOnly: false).apply(to: root)
    let file = try test.file("root/file", mode: 0o600)
    try FileSystem.changeOwner(file, user: nil, group: 0)
    try VolumeOwnership(group: 4711, isReadOnly: false, trustsRoot: true).apply(to: root)
    #expect(try FileSystem.status(file)?.mode == 0o600)
    try VolumeOwnership(group: 4712, isReadOnly: false, trustsRoot: true).apply(to: root)
    #expect(try FileSystem.status(file)?.groupID == 4712)
  }
}
