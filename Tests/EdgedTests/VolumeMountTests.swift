import CLinux
import Glibc
import KubernetesAPI
import Runtime
import Testing

@testable import Edged

@Suite struct VolumeMountTests {
  let test = VolumeTestDirectory()

  private func mounts(
    _ requests: [VolumeMount], _ volumes: [Volume], environment: [String: String] = [:], rro: Bool = false
  ) async throws -> [CRIMount] {
    var container = Container(name: "main")
    container.volumeMounts = requests
    let pod = volumePod(volumes, containers: [container])
    let podVolumes = PodVolumes(paths: test.paths)
    let prepared = try await podVolumes.setUp(pod)
    return try await podVolumes.mounts(
      for: container, of: pod, volumes: prepared, environment: environment, supportsRecursiveReadOnly: rro)
  }

  private var host: Volume { Volume(name: "host", hostPath: HostPathVolumeSource(path: test.path + "/host")) }

  private func request(_ subPath: String? = nil, expression: String? = nil) -> VolumeMount {
    var request = VolumeMount(name: "host", mountPath: "/data", subPath: subPath)
    request.subPathExpr = expression
    return request
  }

  @Test func passesOnWhatWasAskedFor() async throws {
    var readOnly = VolumeMount(name: "host", mountPath: "relative", readOnly: true)
    readOnly.recursiveReadOnly = "IfPossible"
    var bidirectional = VolumeMount(name: "host", mountPath: "/b")
    bidirectional.mountPropagation = "Bidirectional"
    var slave = VolumeMount(name: "host", mountPath: "/s")
    slave.mountPropagation = "HostToContainer"
    let found = try await mounts([readOnly, bidirectional, slave], [host], rro: true)
    #expect(found.map(\.containerPath) == ["/relative", "/b", "/s"])
    #expect(found.map(\.hostPath) == Array(repeating: test.path + "/host", count: 3))
    #expect(found.map(\.readonly) == [true, false, false])
    #expect(found.map(\.recursiveReadOnly) == [true, false, false])
    #expect(found.map(\.propagation) == [.propagationPrivate, .propagationBidirectional, .propagationHostToContainer])
  }

  @Test(arguments: [
    ("Enabled", true, false, "not supported by the runtime"), ("Enabled", false, true, "it is not read-only"),
    ("Maybe", true, true, "allowed are"),
  ])
  func refusesRecursiveReadOnlyThatCantBe(mode: String, readOnly: Bool, supported: Bool, reason: String) async throws {
    var request = VolumeMount(name: "host", mountPath: "/a", readOnly: readOnly)
    request.recursiveReadOnly = mode
    let error = await #expect(throws: VolumeError.self) { try await mounts([request], [host], rro: supported) }
    #expect(error?.description.contains(reason) == true)
  }

  @Test func namesAMissingVolume() async throws {
    await #expect(throws: VolumeError("cannot find volume \"v\" to mount into container \"main\"")) {
      try await mounts([VolumeMount(name: "v", mountPath: "/a")], [host])
    }
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func filesOfTheAgentAreReadOnly() async throws {
    let items = [DownwardAPIVolumeFile(path: "name", fieldRef: ObjectFieldSelector(fieldPath: "metadata.name"))]
    let volume = Volume(name: "info", downwardAPI: DownwardAPIVolumeSource(items: items))
    let found = try await mounts(
      [VolumeMount(name: "info", mountPath: "/info"), VolumeMount(name: "info", mountPath: "/name", subPath: "name")], [volume])
    #expect(found.map(\.readonly) == [true, true])
    #expect(try FileSystem.status(found[1].hostPath)?.kind == .file)
    #expect(try volumeText(found[1].hostPath) == "web")
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func subPathsAreMadeWithTheVolumesMode() async throws {
    _ = try test.directory("host", mode: 0o2770)
    let found = try await mounts([request("a//./b/c")], [host])
    #expect(found[0].hostPath == test.paths.pod("uid-1") + "/volume-subpaths/host/main/0")
    let made = try #require(try FileSystem.status(test.path + "/host/a/b/c"))
    #expect(made.mode == 0o2770)
    #expect(try FileSystem.status(found[0].hostPath)?.isSame(as: made) == true)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func bindsAnewOnlyWhatChanged() async throws {
    _ = try test.directory("host")
    _ = try test.file("host/file", "old")
    let resolved = FileSystem.resolved(test.path)
    let first = try await mounts([request("file")], [host])
    _ = try await mounts([request("file")], [host])
    #expect(try MountTable.read().paths(below: resolved).count == 1)
    #expect(try volumeText(first[0].hostPath) == "old")
    try FileSystem.replace(test.path + "/host/file", with: "new".utf8, mode: 0o644)
    #expect(try volumeText(first[0].hostPath) == "old")
    _ = try await mounts([request("file")], [host])
    #expect(try volumeText(first[0].hostPath) == "new")
    try FileSystem.remove(test.path + "/host/file")
    _ = try await mounts([request("file")], [host])
    #expect(try FileSystem.status(first[0].hostPath)?.kind == .directory)
    #expect(try MountTable.read().paths(below: resolved).count == 1)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func linksInsideTheVolumeAreFollowed() async throws {
    let target = try test.directory("host/real/dir")
    _ = try test.directory("host/x/y")
    try FileSystem.makeSymbolicLink(test.path + "/host/x/y/link", to: "../../real/./dir")
    let found = try await mounts([request("x/y/link/new")], [host])
    let made = try #require(try FileSystem.status(target + "/new"))
    #expect(try FileSystem.status(found[0].hostPath)?.isSame(as: made) == true)
  }

  @Test(
    .enabled(if: volumeTestsAreRoot, "mounting needs root"),
    arguments: [
      ("link", "/etc", "leaves the volume through the symbolic link \"link\""), ("link/passwd", "/etc", "leaves the volume"),
      ("link", "../secret", "leaves the volume"), ("link/new", "../secret", "leaves the volume"),
      ("link", "../../../../../../etc", "leaves the volume"),
      ("link", "link", "Too many levels of symbolic links"), ("file/below", "none", "Not a directory"),
      ("link/x", "/proc/self/root", "leaves the volume"),
    ])
  func linksThatLeaveTheVolumeAreRefused(subPath: String, target: String, reason: String) async throws {
    _ = try test.directory("host")
    let secret = try test.directory("secret")
    _ = try test.file("host/file")
    try FileSystem.makeSymbolicLink(test.path + "/host/link", to: target)
    let error = await #expect(throws: VolumeError.self) { try await mounts([request(subPath)], [host]) }
    #expect(error?.description.hasPrefix("failed to prepare subPath for volumeMount \"host\" of container \"main\": ") == true)
    #expect(error?.description.contains(reason) == true)
    #expect(try FileSystem.list(secret) == [])
    #expect(try MountTable.read().paths(below: FileSystem.resolved(test.path)) == [])
  }

  @Test(
    arguments: [
      ("/etc", nil, "error SubPath `/etc` must not be an absolute path"), ("a/../b", nil, "unable to provision SubPath `a/../b`"),
      (nil, "$(ABSOLUTE)", "error SubPath `/tmp` must not be an absolute path"), (nil, "$(UP)/x", "unable to provision SubPath `../x`"),
      (nil, "$(NONE)", "missing value for \"NONE\""), (nil, "$(TICKS)", "must not contain backticks"),
    ] as [(String?, String?, String)])
  func refusesSubPathsWithoutLooking(subPath: String?, expression: String?, reason: String) async throws {
    let environment = ["ABSOLUTE": "/tmp", "UP": "..", "TICKS": "`ls`"]
    let error = await #expect(throws: VolumeError.self) {
      try await mounts([request(subPath, expression: expression)], [host], environment: environment)
    }
    #expect(error?.description.contains(reason) == true)
  }

  @Test(arguments: [
    ("$(A)/x-$(B)", "1/x-2"), ("$$(A)", "$(A)"), ("$A", "$A"), ("$(A", "$(A"), ("a$", "a$"), ("$$$(A)", "$1"), ("", ""),
  ])
  func expandsVariables(expression: String, path: String) throws {
    #expect(try SubPathExpression.expand(expression, ["A": "1", "B": "2"]) == path)
  }
}
