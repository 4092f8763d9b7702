import Glibc
import KubernetesAPI

/// A directory that lives as long as its pod: on the disk, in memory or on huge pages.
struct EmptyDir: Sendable {
  enum Medium: Sendable, Hashable {
    case disk
    /// Bytes at most; nil leaves the kernel's default.
    case memory(size: Int64?)
    /// Bytes a page.
    case hugePages(pageSize: Int64)
  }

  let directory: String
  let medium: Medium
  let ownership: VolumeOwnership?
  /// A file that says that the directory was set up whole, so that a later run leaves to containers what they made of it.
  let marker: String?

  func setUp() throws(FileError) {
    if let parent = FileSystem.parent(of: directory) { try FileSystem.makeDirectories(parent, mode: 0o750) }
    var isMarked = true
    if let marker { isMarked = try FileSystem.status(marker) != nil }
    let exists = try !FileSystem.makeDirectory(directory, mode: 0o777)
    var isOurMount = false
    do throws(FileError) {
      if medium == .disk {
        if exists && isMarked { return }
      } else {
        let isMounted = exists ? try Mount.isFileSystemRoot(directory) : false
        if isMounted && isMarked { return }
        // A marker of a mount that a reboot took away must not stand for the one to come.
        if let marker { try FileSystem.remove(marker) }
        if !isMounted {
          try mount()
          isOurMount = true
        }
      }
      if exists && medium == .disk { try FileSystem.changeMode(directory, 0o777) }
      try ownership?.apply(to: directory)
      if let marker {
        if let parent = FileSystem.parent(of: marker) { try FileSystem.makeDirectories(parent, mode: 0o750) }
        try FileSystem.remove(marker)
        try FileSystem.create(marker, [], mode: 0o640)
      }
    } catch {
      if isOurMount { try? Mount.unmount(directory) }
      if !exists { try? FileSystem.remove(directory) }
      throw error
    }
  }

  private func mount() throws(FileError) {
    switch medium {
    case .disk: break
    // Like /tmp: the kernel's mode for the root of a tmpfs is 01777.
    case .memory(let size): try Mount.tmpfs(at: directory, size: size)
    case .hugePages(let pageSize):
      try Mount.hugePages(at: directory, pageSize: pageSize)
      try FileSystem.changeMode(directory, 0o777)
    }
  }
}

extension EmptyDir.Medium {
  init(_ source: EmptyDirVolumeSource, pod: Pod, node: NodeFacts) throws(VolumeError) {
    switch source.medium ?? "" {
    case "": self = .disk
    case "Memory": self = .memory(size: Self.memorySize(limit: source.sizeLimit, pod: pod, node: node))
    case "HugePages":
      let sizes = Self.hugePageSizes(of: pod)
      guard sizes.count == 1, let size = sizes.first else {
        let found = sizes.isEmpty ? "none" : sizes.map(String.init).sorted().joined(separator: ", ") + " bytes"
        throw VolumeError("medium HugePages needs exactly one page size among the resources of the pod's containers; found: \(found)")
      }
      self = .hugePages(pageSize: size)
    case let medium where medium.hasPrefix("HugePages-"):
      guard let size = Quantity(String(medium.dropFirst("HugePages-".count)))?.value, size > 0 else {
        throw VolumeError("medium \"\(medium)\" names no page size, e.g. HugePages-2Mi")
      }
      guard Self.hugePageSizes(of: pod).contains(size) else {
        throw VolumeError("medium \"\(medium)\": no container of the pod asks for huge pages of that size")
      }
      self = .hugePages(pageSize: size)
    case let medium: throw VolumeError("medium \"\(medium)\" is unknown; allowed are \"\", Memory, HugePages and HugePages-<size>")
    }
  }

  /// No volume can hold more than its pod may use, nor than the node has for pods.
  static func memorySize(limit: Quantity?, pod: Pod, node: NodeFacts) -> Int64? {
    [limit?.value, pod.memoryLimit, node.allocatable["memory"]?.value].compactMap { $0 }.filter { $0 > 0 }.min()
  }

  private static func hugePageSizes(of pod: Pod) -> Set<Int64> {
    var sizes: Set<Int64> = []
    for container in pod.spec.containers + (pod.spec.initContainers ?? []) {
      for names in [container.resources?.limits?.keys, container.resources?.requests?.keys] {
        for name in names ?? [:].keys where name.hasPrefix("hugepages-") {
          if let size = Quantity(String(name.dropFirst("hugepages-".count)))?.value { sizes.insert(size) }
        }
      }
    }
    return sizes
  }
}

extension Pod {
  /// Bytes all containers of the pod together may use; nil if one of them has no limit.
  fileprivate var memoryLimit: Int64? {
    if let limit = spec.resources?.limits?["memory"]?.value { return limit }
    let isLimited = (spec.containers + (spec.initContainers ?? [])).allSatisfy { $0.limits["memory"] != nil }
    return isLimited ? PodResources.limits(self)["memory"]?.value : nil
  }
}
