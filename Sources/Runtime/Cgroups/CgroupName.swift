/// The kind of group a pod's group is in, after the pod's quality of service.
public enum CgroupQOS: String, Sendable, Hashable, CaseIterable {
  /// Directly in `kubepods`.
  case guaranteed
  case burstable
  case bestEffort = "besteffort"
}

/// The name of a control group, independent of the driver that makes it: `kubepods`, `burstable`, `pod1234-…`.
public struct CgroupName: Sendable, Hashable {
  /// From the outside in; none is the root of the hierarchy.
  public let components: [String]

  public init(_ components: [String]) { self.components = components }

  /// The group of a `cgroupRoot` setting: `/`, `/system/edge`.
  public init(path: String) { self.components = path.split(separator: "/").map(String.init) }

  public func child(_ name: String) -> CgroupName { CgroupName(components + [name]) }

  /// The group of all pods.
  public static func kubepods(root: CgroupName = CgroupName([])) -> CgroupName { root.child("kubepods") }

  /// The group of all pods of that quality of service.
  public static func qos(_ qos: CgroupQOS, root: CgroupName = CgroupName([])) -> CgroupName {
    qos == .guaranteed ? kubepods(root: root) : kubepods(root: root).child(qos.rawValue)
  }

  public static func pod(uid: String, qos: CgroupQOS, root: CgroupName = CgroupName([])) -> CgroupName {
    CgroupName.qos(qos, root: root).child("pod" + uid)
  }

  /// The directory below a hierarchy's mount point, which is also what an engine takes as `cgroup_parent`:
  /// `/kubepods/burstable/pod<uid>`, or with systemd `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod<uid>.slice`.
  ///
  /// containerd takes the whole path with either driver. Docker takes the path with cgroupfs and, with systemd, `slice` alone.
  public func path(_ driver: CRICgroupDriver) -> String {
    guard driver == .systemd else { return "/" + components.joined(separator: "/") }
    // A slice's parents are spelled in its name: a-b.slice lies in a.slice.
    var prefix = ""
    var path = ""
    for component in components {
      prefix += (prefix.isEmpty ? "" : "-") + Self.escape(component)
      path += "/" + prefix + ".slice"
    }
    return path.isEmpty ? "/" : path
  }

  /// The unit's name with the systemd driver: `kubepods-burstable-pod<uid>.slice`; `-.slice` for the root.
  public var slice: String {
    components.isEmpty ? "-.slice" : components.map(Self.escape).joined(separator: "-") + ".slice"
  }

  /// A dash separates levels in a slice's name, so those of one level's own name become underscores.
  private static func escape(_ component: String) -> String { component.replacing("-", with: "_") }

  /// The UID in the name of a pod's directory; nil if the directory is none of a pod.
  static func podUID(directory: String, parent: CgroupName, driver: CRICgroupDriver) -> String? {
    var name = Substring(directory)
    if driver == .systemd {
      let prefix = parent.components.map(escape).joined(separator: "-") + "-"
      guard name.hasPrefix(prefix), name.hasSuffix(".slice") else { return nil }
      name = name.dropFirst(prefix.count).dropLast(".slice".count)
    }
    guard name.hasPrefix("pod"), name.count > 3 else { return nil }
    let uid = String(name.dropFirst(3))
    return driver == .systemd ? uid.replacing("_", with: "-") : uid
  }
}
