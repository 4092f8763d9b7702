extension PodVolumes {
  /// Unmounts and deletes the volumes of a pod whose containers have all ended. What is left of an earlier, interrupted
  /// call goes too; a pod without volumes is no error.
  ///
  /// Its other files (termination messages, etc-hosts) stay until `removeDirectory`.
  /// - Throws: `FileError`. Nothing is ever deleted below a directory that something is still mounted on.
  public func tearDown(_ podUID: String) async throws {
    try await remove(["volume-subpaths", "volumes", "plugins", "volumeDevices"].map { paths.pod(podUID) + "/" + $0 }, of: podUID)
  }

  /// Does what `tearDown` does, and removes the pod's directory.
  public func removeDirectory(_ podUID: String) async throws { try await remove([paths.pod(podUID)], of: podUID) }

  /// UIDs of pods that have a directory on this node but aren't among the known ones: left by an earlier run.
  public func orphans(known: Set<String>) throws -> [String] {
    try FileSystem.list(paths.pods).filter { uid in
      guard !known.contains(uid) else { return false }
      return try FileSystem.status(paths.pod(uid), followLinks: false)?.kind == .directory
    }
  }

  private func remove(_ directories: [String], of podUID: String) async throws {
    let pods = paths.pods
    let pod = paths.pod(podUID)
    guard !podUID.isEmpty, podUID != ".", podUID != "..", !podUID.contains("/") else {
      throw VolumeError("\"\(podUID)\" is no UID of a pod")
    }
    try await withExclusiveAccess(to: podUID) {
      guard try FileSystem.status(pod, followLinks: false) != nil else { return }
      // The kernel lists mounts by paths without symbolic links.
      let resolved = FileSystem.resolved(pods) + "/" + podUID
      for path in try MountTable.read().paths(below: resolved) { try Mount.unmount(path) }
      if let path = try MountTable.read().paths(below: resolved).first(where: { $0 != resolved }) {
        throw VolumeError("volumes of pod \(podUID) stay: something is still mounted on \(path)")
      }
      for directory in directories { try FileSystem.removeTree(directory) }
    }
    forget(podUID)
  }
}
