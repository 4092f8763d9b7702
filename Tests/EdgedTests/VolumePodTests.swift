import CLinux
import FoundationEssentials
import Glibc
import KubernetesAPI
import Synchronization
import Testing

@testable import Edged

@Suite struct VolumePodTests {
  let test = VolumeTestDirectory()

  private final class ManualClock: Sendable {
    let instant = Mutex(ContinuousClock.now)
    func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
    var now: ContinuousClock.Instant { instant.withLock { $0 } }
  }

  private func downwardVolume(_ name: String, _ items: [DownwardAPIVolumeFile]) -> Volume {
    Volume(name: name, downwardAPI: DownwardAPIVolumeSource(items: items))
  }

  /// Every path below a directory with what tells a write: inode, mode, owner, time.
  private func snapshot(_ root: String) throws -> [String: FileStatus] {
    var found: [String: FileStatus] = [:]
    func visit(_ path: String) throws {
      guard let status = try FileSystem.status(path, followLinks: false) else { return }
      found[path] = status
      guard status.kind == .directory else { return }
      for name in try FileSystem.list(path) { try visit(path + "/" + name) }
    }
    try visit(root)
    return found
  }

  @Test func emptyDirIsOpenToAllAndMarkedReady() async throws {
    let volumes = try await PodVolumes(paths: test.paths).setUp(volumePod([Volume(name: "cache", emptyDir: EmptyDirVolumeSource())]))
    let path = test.paths.pod("uid-1") + "/volumes/kubernetes.io~empty-dir/cache"
    #expect(volumes["cache"]?.hostPath == path)
    #expect(try FileSystem.status(path)?.mode == 0o777)
    #expect(try FileSystem.status(test.paths.pod("uid-1") + "/plugins/kubernetes.io~empty-dir/cache/ready")?.kind == .file)
  }

  @Test(
    .enabled(if: volumeTestsAreRoot, "mounting needs root"),
    arguments: [
      (nil, nil, 1 << 30), ("1Mi", nil, 1 << 20), ("1Mi", "512Ki", 512 << 10), (nil, "64Mi", 64 << 20), ("4Gi", nil, 1 << 30),
    ] as [(String?, String?, UInt64)])
  func memoryVolumesAreLimited(sizeLimit: String?, podLimit: String?, size: UInt64) async throws {
    var container = Container(name: "main")
    container.resources = podLimit.map { ResourceRequirements(limits: ["memory": Quantity($0) ?? Quantity(value: 0)]) }
    let source = EmptyDirVolumeSource(medium: "Memory", sizeLimit: sizeLimit.flatMap { Quantity($0) })
    let pod = volumePod([Volume(name: "shm", emptyDir: source)], containers: [container])
    let volumes = PodVolumes(paths: test.paths)
    let path = try #require(try await volumes.setUp(pod)["shm"]?.hostPath)
    #expect(try Mount.isFileSystemRoot(path))
    #expect(try FileSystem.space(path).capacityBytes == size)
    #expect(try FileSystem.status(path)?.mode == 0o1777)
    try await volumes.tearDown("uid-1")
    #expect(try FileSystem.status(path) == nil)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func aSecondSetUpWritesNothing() async throws {
    var pod = volumePod([
      Volume(name: "disk", emptyDir: EmptyDirVolumeSource()), Volume(name: "shm", emptyDir: EmptyDirVolumeSource(medium: "Memory")),
      downwardVolume("info", [.init(path: "labels", fieldRef: ObjectFieldSelector(fieldPath: "metadata.labels"))]),
      Volume(name: "host", hostPath: HostPathVolumeSource(path: test.path + "/host", type: "DirectoryOrCreate")),
    ])
    pod.spec.securityContext = PodSecurityContext()
    pod.spec.securityContext?.fsGroup = 4711
    let first = PodVolumes(paths: test.paths)
    let prepared = try await first.setUp(pod)
    #expect(prepared.count == 4)
    #expect(try FileSystem.status(prepared["disk"]?.hostPath ?? "")?.mode == 0o2777)
    // What a container made of its volume is its own affair.
    try FileSystem.changeMode(prepared["disk"]?.hostPath ?? "", 0o700)
    try FileSystem.create((prepared["shm"]?.hostPath ?? "") + "/file", [], mode: 0o600)
    let before = try snapshot(test.path)
    #expect(try await first.setUp(pod) == prepared)
    #expect(try await PodVolumes(paths: test.paths).setUp(pod) == prepared)
    #expect(try snapshot(test.path) == before)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func volumesThatVanishedAreMadeAgain() async throws {
    let pod = volumePod([
      Volume(name: "disk", emptyDir: EmptyDirVolumeSource()),
      downwardVolume("info", [.init(path: "name", fieldRef: ObjectFieldSelector(fieldPath: "metadata.name"))]),
    ])
    let volumes = PodVolumes(paths: test.paths)
    let prepared = try await volumes.setUp(pod)
    let (disk, info) = (prepared["disk"]?.hostPath ?? "", prepared["info"]?.hostPath ?? "")
    try FileSystem.removeTree(disk)
    try Mount.unmount(info)
    #expect(try await volumes.setUp(pod) == prepared)
    #expect(try FileSystem.status(disk)?.mode == 0o777)
    #expect(try volumeText(info + "/name") == "web")
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func aNewRunTakesDownWhatAnOldOneMounted() async throws {
    let pod = volumePod(
      [
        Volume(name: "shm", emptyDir: EmptyDirVolumeSource(medium: "Memory")),
        Volume(name: "host", hostPath: HostPathVolumeSource(path: try test.directory("host"))),
        downwardVolume("info", [.init(path: "name", fieldRef: ObjectFieldSelector(fieldPath: "metadata.name"))]),
      ])
    var container = Container(name: "main")
    container.volumeMounts = [
      VolumeMount(name: "shm", mountPath: "/shm", subPath: "a/b"), VolumeMount(name: "host", mountPath: "/data", subPath: "data"),
    ]
    do {
      let old = PodVolumes(paths: test.paths)
      try PodDirectories(paths: test.paths).create(for: pod)
      _ = try TerminationMessageFile.create(for: container, podUID: pod.uid, paths: test.paths)
      let prepared = try await old.setUp(pod)
      _ = try await old.mounts(for: container, of: pod, volumes: prepared, environment: [:])
      try FileSystem.create(test.path + "/host/data/precious", "x".utf8, mode: 0o644)
    }
    let resolved = FileSystem.resolved(test.path)
    #expect(try MountTable.read().paths(below: resolved).count == 4)
    let volumes = PodVolumes(paths: test.paths)
    #expect(try volumes.orphans(known: []) == ["uid-1"])
    #expect(try volumes.orphans(known: ["uid-1"]) == [])
    try await volumes.tearDown("uid-1")
    #expect(try MountTable.read().paths(below: resolved) == [])
    #expect(try FileSystem.list(test.paths.pod("uid-1")) == ["containers"])
    try await volumes.removeDirectory("uid-1")
    try await volumes.removeDirectory("uid-1")
    #expect(try FileSystem.list(test.paths.pods) == [])
    #expect(try volumeText(test.path + "/host/data/precious") == "x")
  }

  @Test(arguments: ["", ".", "..", "../..", "a/b"])
  func onlyUIDsNamePods(uid: String) async {
    await #expect(throws: VolumeError("\"\(uid)\" is no UID of a pod")) { try await PodVolumes(paths: test.paths).removeDirectory(uid) }
  }

  @Test(
    arguments: [
      ("dir", "", nil), ("none", "", nil), ("dir", "Directory", nil), ("file", "Directory", "is not a directory"),
      ("none", "Directory", "is not a directory"), ("new/dir", "DirectoryOrCreate", nil),
      ("file", "DirectoryOrCreate", "is not a directory"),
      ("file", "File", nil), ("dir", "File", "is not a file"), ("newfile", "FileOrCreate", nil), ("dir", "FileOrCreate", "is not a file"),
      ("socket", "Socket", nil), ("file", "Socket", "is not a socket file"), ("/dev/null", "CharDevice", nil),
      ("file", "CharDevice", "is not a character device"), ("file", "BlockDevice", "is not a block device"), ("link", "Directory", nil),
      ("file", "Folder", "hostPath type \"Folder\" is unknown"),
    ] as [(String, String, String?)])
  func hostPathsAreChecked(name: String, type: String, failure: String?) async throws {
    _ = try test.directory("dir")
    _ = try test.file("file")
    try FileSystem.makeSymbolicLink(test.path + "/link", to: test.path + "/dir")
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(listener) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: (test.path + "/socket").utf8) }
    let size = socklen_t(MemoryLayout<sockaddr_un>.size)
    let bound = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, size) } }
    #expect(bound == 0)
    let path = name.hasPrefix("/") ? name : test.path + "/" + name
    let pod = volumePod([Volume(name: "v", hostPath: HostPathVolumeSource(path: path, type: type))])
    do {
      let prepared = try await PodVolumes(paths: test.paths).setUp(pod)
      #expect(failure == nil)
      #expect(prepared["v"]?.hostPath == path)
      let created = try FileSystem.status(path)
      if type == "FileOrCreate" { #expect(created?.kind == .file && created?.mode == 0o644) }
      if type == "DirectoryOrCreate" { #expect(created?.kind == .directory && created?.mode == 0o755) }
      if type == "" && name == "none" { #expect(created == nil) }
    } catch let error as VolumeSetUpError {
      let expected = try #require(failure)
      #expect(error.description.hasPrefix("MountVolume.SetUp failed for volume \"v\" : hostPath type"))
      #expect(error.description.contains(expected))
    }
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func downwardFilesFollowThePod() async throws {
    var container = Container(name: "main")
    container.resources = ResourceRequirements(limits: ["cpu": Quantity("1500m") ?? Quantity(value: 0)])
    var items: [DownwardAPIVolumeFile] = ["metadata.labels", "metadata.annotations", "metadata.uid"].map {
      .init(path: "meta/" + $0, fieldRef: ObjectFieldSelector(fieldPath: $0))
    }
    items.append(.init(path: "cpu", resourceFieldRef: ResourceFieldSelector(containerName: "main", resource: "limits.cpu"), mode: 0o400))
    var pod = volumePod([downwardVolume("info", items)], containers: [container])
    let volumes = PodVolumes(paths: test.paths)
    let prepared = try await volumes.setUp(pod)
    let path = try #require(prepared["info"]?.hostPath)
    #expect(path.hasSuffix("/volumes/kubernetes.io~downward-api/info"))
    #expect(try volumeText(path + "/meta/metadata.labels") == "app=\"web\"")
    #expect(try volumeText(path + "/meta/metadata.annotations") == "a=\"1\"\nb=\"2\\n\"")
    #expect(try volumeText(path + "/cpu") == "2")
    #expect(try FileSystem.status(path + "/cpu")?.mode == 0o400)
    #expect(try FileSystem.status(path + "/meta/metadata.uid")?.mode == 0o644)
    #expect(prepared["info"]?.isReadOnly == true)
    pod.metadata.labels?["app"] = "shop"
    _ = try await volumes.setUp(pod)
    #expect(try volumeText(path + "/meta/metadata.labels") == "app=\"shop\"")
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func laterProjectionsWin() async throws {
    func projection(_ path: String, _ field: String) -> VolumeProjection {
      .init(downwardAPI: .init(items: [.init(path: path, fieldRef: ObjectFieldSelector(fieldPath: field))]))
    }
    let source = ProjectedVolumeSource(
      sources: [projection("a", "metadata.name"), projection("b", "metadata.uid"), projection("a", "metadata.namespace")],
      defaultMode: 0o440)
    let prepared = try await PodVolumes(paths: test.paths).setUp(volumePod([Volume(name: "all", projected: source)]))
    let path = try #require(prepared["all"]?.hostPath)
    #expect(path.hasSuffix("/volumes/kubernetes.io~projected/all"))
    #expect(try volumeText(path + "/a") == "shop")
    #expect(try volumeText(path + "/b") == "uid-1")
    #expect(try FileSystem.status(path + "/b")?.mode == 0o440)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func whatNeedsTheCloudSaysSo() async throws {
    func volume(_ json: String) throws -> Volume { try JSONDecoder().decode(Volume.self, from: Data(json.utf8)) }
    let config = try volume(#"{"name":"config","configMap":{"name":"x"}}"#)
    let optional = try volume(#"{"name":"optional","secret":{"secretName":"x","optional":true}}"#)
    let claim = try volume(#"{"name":"claim","persistentVolumeClaim":{"claimName":"x"}}"#)
    let pod = volumePod([config, optional, claim, Volume(name: "none"), Volume(name: "cache", emptyDir: EmptyDirVolumeSource())])
    let volumes = PodVolumes(paths: test.paths)
    let error = await #expect(throws: VolumeSetUpError.self) { try await volumes.setUp(pod) }
    #expect(error?.failures.map(\.volume) == ["config", "claim", "none"])
    #expect(
      error?.failures.first?.description == "MountVolume.SetUp failed for volume \"config\" : configMap volumes need a cloud connection")
    // The others are ready all the same.
    #expect(try FileSystem.status(test.paths.volume("cache", plugin: "empty-dir", podUID: "uid-1"))?.mode == 0o777)
    #expect(try FileSystem.list(test.paths.volume("optional", plugin: "secret", podUID: "uid-1")).count == 2)
  }

  @Test func failuresAreRetriedWithGrowingDelays() async throws {
    let clock = ManualClock()
    let volumes = PodVolumes(paths: test.paths, now: { clock.now })
    let pod = volumePod([Volume(name: "v", hostPath: HostPathVolumeSource(path: test.path + "/v", type: "Directory"))])
    func attempt() async -> VolumeSetUpError? {
      do { _ = try await volumes.setUp(pod) } catch { return error as? VolumeSetUpError }
      return nil
    }
    for delay in [0.5, 1, 2, 4, 8, 16, 32, 64, 122, 122] {
      let error = try #require(await attempt())
      #expect(error.isNew)
      #expect(error.retryAt - clock.now == .seconds(delay))
      clock.advance(.seconds(delay) - .milliseconds(1))
      let waiting = try #require(await attempt())
      #expect(!waiting.isNew && waiting.retryAt == error.retryAt && waiting.failures == error.failures)
      clock.advance(.milliseconds(1))
    }
    _ = try test.directory("v")
    #expect(await attempt() == nil)
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func aFullDiskLeavesNoHalfVolume() async throws {
    let disk = try test.smallDisk("disk", bytes: 16 * 4096)
    volumeShell("head -c 1000000 /dev/zero > \(disk)/fill 2>/dev/null")
    let paths = NodePaths(root: disk, podLogs: test.path + "/logs", containerLogs: test.path + "/links")
    #expect(throws: FileError.self) { try FileSystem.create(disk + "/file", "some bytes".utf8, mode: 0o644) }
    #expect(try FileSystem.status(disk + "/file") == nil)
    #expect(throws: FileError.self) { try EtcHostsFile(podUID: "none", paths: paths).write("x") }
    let pod = volumePod([downwardVolume("info", [.init(path: "n", fieldRef: ObjectFieldSelector(fieldPath: "metadata.name"))])])
    // Directories of a tmpfs need no space: the pod's volume is a tmpfs of its own and works.
    let volumes = PodVolumes(paths: paths)
    _ = try await volumes.setUp(pod)
    try await volumes.removeDirectory("uid-1")
    #expect(try FileSystem.list(paths.pods) == [])
  }

  @Test(.enabled(if: volumeTestsAreRoot, "mounting needs root")) func hugePagesNeedAPageSize() async throws {
    func pod(_ medium: String, _ resources: [String]) -> Pod {
      var container = Container(name: "main")
      container.resources = ResourceRequirements(limits: Dictionary(uniqueKeysWithValues: resources.map { ($0, Quantity(value: 4 << 20)) }))
      return volumePod([Volume(name: "v", emptyDir: EmptyDirVolumeSource(medium: medium))], containers: [container])
    }
    let node = volumeDownward(pod("", [])).node
    func medium(_ name: String, _ resources: [String]) throws -> EmptyDir.Medium {
      try EmptyDir.Medium(EmptyDirVolumeSource(medium: name), pod: pod(name, resources), node: node)
    }
    #expect(try medium("HugePages", ["hugepages-2Mi", "memory"]) == .hugePages(pageSize: 2 << 20))
    #expect(try medium("HugePages-1Gi", ["hugepages-2Mi", "hugepages-1Gi"]) == .hugePages(pageSize: 1 << 30))
    #expect(throws: VolumeError.self) { try medium("HugePages", ["memory"]) }
    #expect(throws: VolumeError.self) { try medium("HugePages", ["hugepages-2Mi", "hugepages-1Gi"]) }
    #expect(throws: VolumeError.self) { try medium("HugePages-1Gi", ["hugepages-2Mi"]) }
    #expect(throws: VolumeError.self) { try medium("Tape", []) }
    guard try FileSystem.status("/sys/kernel/mm/hugepages/hugepages-2048kB") != nil else { return }
    let volumes = PodVolumes(paths: test.paths)
    let path = try #require(try await volumes.setUp(pod("HugePages", ["hugepages-2Mi"]))["v"]?.hostPath)
    #expect(try Mount.isFileSystemRoot(path))
    #expect(try FileSystem.status(path)?.mode == 0o777)
    try await volumes.tearDown("uid-1")
    #expect(try FileSystem.status(path) == nil)
  }
}
