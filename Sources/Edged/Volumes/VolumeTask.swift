import KubernetesAPI

/// Setting up one volume of one pod.
struct VolumeTask: Sendable {
  /// A volume that is set up, and how to see quickly that it still is.
  struct Result: Sendable {
    var volume: PreparedVolume
    /// A directory of the agent's own: it must stay the same one.
    var directory: FileStatus?
    /// A link that stands as long as the volume is whole.
    var link: String?

    var isIntact: Bool {
      if let link { return (try? FileSystem.readLink(link)) != nil }
      guard let directory else { return true }
      return (try? FileSystem.status(volume.hostPath, followLinks: false))?.isSame(as: directory) == true
    }
  }

  let volume: Volume
  /// Changes with the volume's definition and with what is to be in it.
  let fingerprint: Int

  private let kind: PreparedVolume.Kind?
  private let payload: VolumePayload
  private let medium: Swift.Result<EmptyDir.Medium, any Error>
  private let directory: String
  private let marker: String
  private let ownership: VolumeOwnership?

  init(_ volume: Volume, pod: Pod, payload: VolumePayload, paths: NodePaths) {
    self.volume = volume
    let kind = Self.kind(of: volume)
    self.kind = kind
    self.payload = payload
    let node = payload.downward.node
    medium = Swift.Result {
      switch kind {
      case .emptyDir: try EmptyDir.Medium(volume.emptyDir ?? EmptyDirVolumeSource(), pod: pod, node: node)
      case .configMap: .disk
      default: .memory(size: EmptyDir.Medium.memorySize(limit: nil, pod: pod, node: node))
      }
    }
    var hasher = Hasher()
    hasher.combine(volume)
    payload.hashInputs(of: volume, into: &hasher)
    fingerprint = hasher.finalize()
    directory = kind.map { paths.volume(volume.name, plugin: $0.plugin, podUID: pod.uid) } ?? ""
    marker = "\(paths.pod(pod.uid))/plugins/kubernetes.io~empty-dir/\(volume.name)/ready"
    let context = pod.spec.securityContext
    ownership = context?.fsGroup.map {
      VolumeOwnership(
        group: UInt32(truncatingIfNeeded: $0), isReadOnly: kind != .emptyDir,
        trustsRoot: kind == .emptyDir && context?.fsGroupChangePolicy == "OnRootMismatch")
    }
  }

  /// Does what concerns a path that isn't the agent's own; may block for ever.
  func checkHostPath() -> Swift.Result<Void, any Error> {
    Swift.Result { if let source = volume.hostPath { try HostPath.prepare(source) } }
  }

  /// Sets the volume up, or makes sure that it is.
  func setUp() throws -> Result {
    guard let kind else {
      throw VolumeError(
        volume.persistentVolumeClaim != nil
          ? "persistentVolumeClaim volumes need a cloud connection"
          : "its kind is unknown here; known are emptyDir, hostPath, configMap, secret, downwardAPI, projected, persistentVolumeClaim")
    }
    switch kind {
    case .hostPath:
      return Result(volume: PreparedVolume(name: volume.name, kind: kind, hostPath: volume.hostPath?.path ?? ""))
    case .emptyDir:
      try EmptyDir(directory: directory, medium: try medium.get(), ownership: ownership, marker: marker).setUp()
      let status = try FileSystem.status(directory, followLinks: false)
      return Result(volume: PreparedVolume(name: volume.name, kind: kind, hostPath: directory), directory: status)
    case .configMap, .secret, .downwardAPI, .projected:
      let files = try payload.files(of: volume)
      try EmptyDir(directory: directory, medium: try medium.get(), ownership: nil, marker: nil).setUp()
      try AtomicWriter(directory: directory, ownership: ownership).write(files)
      return Result(volume: PreparedVolume(name: volume.name, kind: kind, hostPath: directory), link: directory + "/..data")
    }
  }

  private static func kind(of volume: Volume) -> PreparedVolume.Kind? {
    if volume.emptyDir != nil { return .emptyDir }
    if volume.hostPath != nil { return .hostPath }
    if volume.configMap != nil { return .configMap }
    if volume.secret != nil { return .secret }
    if volume.downwardAPI != nil { return .downwardAPI }
    if volume.projected != nil { return .projected }
    return nil
  }
}

extension PreparedVolume.Kind {
  /// The volume plugin's name in paths.
  var plugin: String {
    switch self {
    case .emptyDir: "empty-dir"
    case .hostPath: "host-path"
    case .configMap: "configmap"
    case .secret: "secret"
    case .downwardAPI: "downward-api"
    case .projected: "projected"
    }
  }
}
