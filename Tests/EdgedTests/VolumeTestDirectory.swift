import CLinux
import Glibc
import KubernetesAPI
import Testing

@testable import Edged

/// A directory for one test, removed with what is mounted below it when the test lets go of it.
final class VolumeTestDirectory: Sendable {
  let path: String

  init() {
    var template = Array("/tmp/edged-volumes-XXXXXX".utf8CString)
    path = mkdtemp(&template) == nil ? "" : String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit {
    if let table = try? MountTable.read() { for path in table.paths(below: path) { try? Mount.unmount(path) } }
    try? FileSystem.removeTree(path)
  }

  var paths: NodePaths { NodePaths(root: path + "/kubelet", podLogs: path + "/logs", containerLogs: path + "/links") }

  func file(_ name: String, _ text: String = "", mode: UInt32 = 0o644) throws -> String {
    try FileSystem.create(path + "/" + name, Array(text.utf8), mode: mode)
    return path + "/" + name
  }

  func directory(_ name: String, mode: UInt32 = 0o755) throws -> String {
    try FileSystem.makeDirectories(path + "/" + name, mode: mode)
    return path + "/" + name
  }

  /// A file system of its own, to fill up.
  func smallDisk(_ name: String, bytes: Int64) throws -> String {
    let path = try directory(name)
    try Mount.tmpfs(at: path, size: bytes)
    return path
  }
}

func volumeText(_ path: String) throws -> String? {
  try FileSystem.read(path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self) }
}

/// Mounting and changing owners need root.
let volumeTestsAreRoot = geteuid() == 0

func volumePod(_ volumes: [Volume], containers: [Container] = [Container(name: "main")], uid: String = "uid-1") -> Pod {
  var pod = Pod(
    metadata: ObjectMeta(name: "web", namespace: "shop", uid: uid, labels: ["app": "web"], annotations: ["b": "2\n", "a": "1"]),
    spec: PodSpec(containers: containers))
  pod.spec.volumes = volumes
  return pod
}

func volumeDownward(_ pod: Pod) -> DownwardAPI {
  let resources = ["cpu": Quantity(value: 4), "memory": Quantity(value: 1 << 30)]
  return DownwardAPI(
    pod: pod, node: NodeFacts(name: "edge-1", hostIPs: ["10.0.0.1"], capacity: resources, allocatable: resources), podIPs: [])
}

extension PodVolumes {
  func setUp(_ pod: Pod) async throws -> [String: PreparedVolume] { try await setUp(pod, downward: EdgedTests.volumeDownward(pod)) }
}

/// Runs a shell command as the test's stand-in for a container; returns its exit code.
@discardableResult
func volumeShell(_ command: String) -> Int32 { system(command) }
