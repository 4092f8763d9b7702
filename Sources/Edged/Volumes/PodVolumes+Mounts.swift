import KubernetesAPI
import Runtime

extension PodVolumes {
  /// What the engine is to mount into a container, in the order of its `volumeMounts`.
  ///
  /// Paths below a volume (`subPath`, `subPathExpr`) are created where missing, and bound to a place of their own that
  /// containers can't redirect. Calling it again for a container that starts again binds anew only what changed.
  /// - Parameters:
  ///   - volumes: what `setUp` returned.
  ///   - environment: the container's variables, for `subPathExpr`.
  ///   - supportsRecursiveReadOnly: whether the engine can make mounts below a mount read-only too.
  /// - Throws: `VolumeError`, `FileError`: the container can't be created now, but perhaps later.
  public func mounts(
    for container: Container, of pod: Pod, volumes: [String: PreparedVolume], environment: [String: String],
    supportsRecursiveReadOnly: Bool = false
  ) async throws -> [CRIMount] {
    var mounts: [CRIMount] = []
    var subPaths: [SubPathTask] = []
    for (index, request) in (container.volumeMounts ?? []).enumerated() {
      guard let volume = volumes[request.name] else {
        throw VolumeError("cannot find volume \"\(request.name)\" to mount into container \"\(container.name)\"")
      }
      var mount = CRIMount()
      mount.containerPath = request.mountPath.hasPrefix("/") ? request.mountPath : "/" + request.mountPath
      mount.hostPath = volume.hostPath
      mount.readonly = volume.isReadOnly || request.readOnly == true
      mount.propagation =
        switch request.mountPropagation {
        case "HostToContainer": .propagationHostToContainer
        case "Bidirectional": .propagationBidirectional
        default: .propagationPrivate
        }
      mount.recursiveReadOnly = try Self.recursiveReadOnly(request, isSupported: supportsRecursiveReadOnly)
      if let subPath = try Self.subPath(of: request, environment) {
        let target = paths.volumeSubpath(request.name, container: container.name, index: index, podUID: pod.uid)
        mount.hostPath = target
        subPaths.append(
          SubPathTask(
            path: subPath, root: volume.hostPath, target: target,
            failure: "failed to prepare subPath for volumeMount \"\(request.name)\" of container \"\(container.name)\""))
      }
      mounts.append(mount)
    }
    if !subPaths.isEmpty {
      let tasks = subPaths
      try await withExclusiveAccess(to: pod.uid) { for task in tasks { try task.run() } }
    }
    return mounts
  }

  private static func subPath(of request: VolumeMount, _ environment: [String: String]) throws(VolumeError) -> String? {
    var subPath = request.subPath ?? ""
    if let expression = request.subPathExpr, !expression.isEmpty { subPath = try SubPathExpression.expand(expression, environment) }
    if subPath.isEmpty { return nil }
    try SubPath.check(subPath)
    return subPath
  }

  private static func recursiveReadOnly(_ request: VolumeMount, isSupported: Bool) throws(VolumeError) -> Bool {
    switch request.recursiveReadOnly ?? "Disabled" {
    case "Disabled": return false
    case "IfPossible": return isSupported && request.readOnly == true
    case "Enabled":
      guard request.readOnly == true else {
        throw VolumeError("volume \"\(request.name)\" requested recursive read-only mode, but it is not read-only")
      }
      guard isSupported else {
        throw VolumeError("volume \"\(request.name)\" requested recursive read-only mode, but it is not supported by the runtime")
      }
      return true
    case let mode:
      throw VolumeError(
        "volume \"\(request.name)\": recursiveReadOnly \"\(mode)\" is unknown; allowed are Disabled, IfPossible and Enabled")
    }
  }
}

/// Binding one path below a volume to the place that the engine mounts into the container.
private struct SubPathTask: Sendable {
  let path: String
  let root: String
  let target: String
  /// Begins the text of errors.
  let failure: String

  func run() throws {
    do {
      let source = try SubPath(path, below: root)
      if let bound = try FileSystem.status(target, followLinks: false) {
        // The same file at both places: it is mounted already.
        if bound.isSame(as: source.status) { return }
        try clear(bound)
      }
      if let parent = FileSystem.parent(of: target) { try FileSystem.makeDirectories(parent, mode: 0o750) }
      if source.status.kind == .directory {
        try FileSystem.makeDirectory(target, mode: 0o750)
      } else {
        try FileSystem.create(target, [], mode: 0o640)
      }
      do {
        try Mount.bind("/proc/self/fd/\(source.descriptor)", at: target)
      } catch {
        try? FileSystem.remove(target)
        throw error
      }
    } catch {
      throw VolumeError("\(failure): \(error)")
    }
  }

  /// Takes away what an earlier container had here, which may be mounted more than once.
  private func clear(_ bound: FileStatus) throws {
    var status: FileStatus? = bound
    for _ in 0..<16 {
      guard let before = status else { return }
      try Mount.unmount(target)
      status = try FileSystem.status(target, followLinks: false)
      if let status, status.isSame(as: before) { break }
    }
    // Only what is empty goes: contents would be those of a volume still mounted.
    try FileSystem.remove(target)
  }
}
