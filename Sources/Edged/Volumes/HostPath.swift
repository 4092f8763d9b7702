import KubernetesAPI

/// Checks, and where asked creates, the path of a hostPath volume.
enum HostPath {
  static let types = ["", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice"]

  static func prepare(_ source: HostPathVolumeSource) throws {
    let path = source.path
    func require(_ kind: FileStatus.Kind, _ article: String) throws {
      guard try FileSystem.status(path)?.kind == kind else { throw VolumeError("hostPath type check failed: \(path) is not \(article)") }
    }
    switch source.type ?? "" {
    case "": break
    case "DirectoryOrCreate":
      if try FileSystem.status(path) == nil { try FileSystem.makeDirectories(path, mode: 0o755) }
      try require(.directory, "a directory")
    case "Directory": try require(.directory, "a directory")
    case "FileOrCreate":
      if try FileSystem.status(path) == nil { try FileSystem.create(path, [], mode: 0o644) }
      try require(.file, "a file")
    case "File": try require(.file, "a file")
    case "Socket": try require(.socket, "a socket file")
    case "CharDevice": try require(.characterDevice, "a character device")
    case "BlockDevice": try require(.blockDevice, "a block device")
    case let type:
      throw VolumeError("hostPath type \"\(type)\" is unknown; allowed are \(types.map { "\"\($0)\"" }.joined(separator: ", "))")
    }
  }
}
