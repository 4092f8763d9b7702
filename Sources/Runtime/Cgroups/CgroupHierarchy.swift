/// Where the host's control groups are mounted.
public struct CgroupHierarchy: Sendable, Hashable {
  public enum Version: String, Sendable, Hashable {
    /// Every controller has a hierarchy of its own.
    case v1
    /// One hierarchy with all controllers.
    case v2
    /// The controllers are those of v1; a v2 hierarchy without controllers is mounted besides.
    case hybrid
  }

  public let version: Version
  /// v1: the mount point of each controller (`cpu`, `memory`, …) and of named hierarchies (`name=systemd`). Empty with v2.
  public let mounts: [String: String]
  /// The mount point of cgroup v2, if any.
  public let unified: String?

  /// What pods can't do without.
  public static let required = ["cpu", "cpuset", "memory", "pids"]

  public init(version: Version, mounts: [String: String], unified: String?) {
    self.version = version
    self.mounts = mounts
    self.unified = unified
  }

  /// Reads what is mounted now.
  public static func detect(mountInfo path: String = "/proc/self/mountinfo") throws(CgroupError) -> CgroupHierarchy {
    guard let hierarchy = CgroupHierarchy(mountInfo: try CgroupDirectory.read(path)) else {
      throw CgroupError.noHierarchy(source: path)
    }
    return hierarchy
  }

  /// Finds the hierarchies in the text of a mountinfo file; nil if there are none.
  public init?(mountInfo text: String) {
    var mounts: [String: String] = [:]
    var unified: String?
    for line in text.split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count > dash + 3 else { continue }
      let point = MountInfo.unescape(fields[4].utf8)
      switch fields[dash + 1] {
      case "cgroup2": unified = unified ?? point
      case "cgroup":
        for option in fields[dash + 3].split(separator: ",").map(String.init)
        where Self.controllers.contains(option) || option.hasPrefix("name=") {
          // A hierarchy may be mounted again elsewhere, in a container's root for instance; the first is the host's.
          mounts[option] = mounts[option] ?? point
        }
      default: break
      }
    }
    guard !mounts.isEmpty || unified != nil else { return nil }
    let hasControllers = mounts.keys.contains { !$0.hasPrefix("name=") }
    self.version = hasControllers ? (unified == nil ? .v1 : .hybrid) : (unified == nil ? .v1 : .v2)
    self.mounts = self.version == .v2 ? [:] : mounts
    self.unified = unified
  }

  /// The names of the controllers that groups can have, sorted.
  public func controllers() throws(CgroupError) -> [String] {
    guard version == .v2, let unified else { return mounts.keys.filter { !$0.hasPrefix("name=") }.sorted() }
    return try CgroupDirectory(path: unified).read("cgroup.controllers").split(whereSeparator: \.isWhitespace).map(String.init).sorted()
  }

  /// Throws `missingControllers` unless everything that pods need is there.
  public func requireControllers() throws(CgroupError) {
    let available = try controllers()
    let needed = version == .v2 ? Self.required : Self.required + ["cpuacct"]
    let missing = needed.filter { !available.contains($0) }
    guard missing.isEmpty else { throw CgroupError.missingControllers(missing, available: available) }
  }

  /// Every hierarchy a group has a directory in; engines make directories in all of them.
  var roots: [String] {
    guard version != .v2 else { return [unified].compactMap(\.self) }
    return Set(mounts.values).union([unified].compactMap(\.self)).sorted()
  }

  private static let controllers: Set<String> = [
    "blkio", "cpu", "cpuacct", "cpuset", "debug", "devices", "freezer", "hugetlb", "memory", "misc", "net_cls", "net_prio", "perf_event",
    "pids", "rdma",
  ]
}
