/// The control groups of pods: `kubepods`, one in it for each lower quality of service, and one for each pod.
///
/// With the cgroupfs driver this type makes, sets and removes them. With the systemd driver only names come from here: the
/// engine has systemd make a pod's slice when the first container starts in it, and systemd owns its settings. What is left in
/// a slice is still found, ended and removed here.
///
/// Calls for one pod must not overlap; calls for different pods may.
public struct PodCgroups: Sendable {
  public let hierarchy: CgroupHierarchy
  public let driver: CRICgroupDriver
  /// The `cgroupRoot` setting: what `kubepods` is in.
  public let root: CgroupName
  let weight: CPUWeight

  /// - Parameter weight: How shares become weights with cgroup v2.
  public init(hierarchy: CgroupHierarchy, driver: CRICgroupDriver, root: String = "/", weight: CPUWeight = .linear) {
    self.hierarchy = hierarchy
    self.driver = driver
    self.root = CgroupName(path: root)
    self.weight = weight
  }

  /// What the engine takes as the pod's `cgroup_parent`.
  public func cgroupParent(podUID: String, qos: CgroupQOS) -> String {
    CgroupName.pod(uid: podUID, qos: qos, root: root).path(driver)
  }

  /// Makes the groups that pods' groups are in.
  /// - Parameter limits: What all pods together may use.
  /// - Throws: `CgroupError.missingControllers` names what the host lacks.
  public func ensureHierarchy(_ limits: CgroupLimits) throws(CgroupError) {
    try hierarchy.requireControllers()
    guard driver == .cgroupfs else { return }
    let kubepods = CgroupName.kubepods(root: root)
    try make(kubepods)
    try apply(limits, to: kubepods)
    for qos in [CgroupQOS.burstable, .bestEffort] {
      let name = CgroupName.qos(qos, root: root)
      if try make(name) { try apply(CgroupLimits(cpuShares: CPUShares.minimum), to: name) }
    }
  }

  /// Sets the weight of all burstable or all best-effort pods together.
  public func setShares(_ shares: Int64, of qos: CgroupQOS) throws(CgroupError) {
    guard driver == .cgroupfs else { return }
    try apply(CgroupLimits(cpuShares: shares), to: CgroupName.qos(qos, root: root))
  }

  /// Makes the pod's group if it isn't there, and sets its limits.
  public func ensure(podUID: String, qos: CgroupQOS, limits: CgroupLimits) throws(CgroupError) {
    guard driver == .cgroupfs else { return }
    let name = CgroupName.pod(uid: podUID, qos: qos, root: root)
    try make(name)
    try apply(limits, to: name)
  }

  /// Whether the pod's group is there, in every hierarchy that limits it.
  public func exists(podUID: String, qos: CgroupQOS) -> Bool {
    let name = CgroupName.pod(uid: podUID, qos: qos, root: root)
    let roots = hierarchy.version == .v2 ? hierarchy.roots : CgroupHierarchy.required.compactMap { hierarchy.mounts[$0] }
    return roots.allSatisfy { directory(name, in: $0).exists }
  }

  /// The groups of pods that are there, in whichever hierarchy; among them are those of pods that nobody knows any more.
  public func list() -> [PodCgroup] {
    var found: Set<PodCgroup> = []
    for qos in CgroupQOS.allCases {
      let parent = CgroupName.qos(qos, root: root)
      for mount in hierarchy.roots {
        for child in directory(parent, in: mount).children() {
          if let uid = CgroupName.podUID(directory: child.name, parent: parent, driver: driver) {
            found.insert(PodCgroup(uid: uid, qos: qos))
          }
        }
      }
    }
    return found.sorted { ($0.uid, $0.qos.rawValue) < ($1.uid, $1.qos.rawValue) }
  }

  /// Kills what still runs in the pod's group and in the groups in it, and waits for its end.
  public func endProcesses(podUID: String, qos: CgroupQOS, timeout: Duration = .seconds(10)) async throws {
    let groups = directories(CgroupName.pod(uid: podUID, qos: qos, root: root))
    try await CgroupThread.run { try CgroupRemoval(groups: groups, timeout: timeout).endProcesses() }
  }

  /// Kills what still runs in the pod's group and removes the group with those in it. A group that is gone is no error.
  /// - Throws: `CgroupError.busy` if processes don't end in time.
  public func remove(podUID: String, qos: CgroupQOS, timeout: Duration = .seconds(10)) async throws {
    let groups = directories(CgroupName.pod(uid: podUID, qos: qos, root: root))
    guard groups.contains(where: \.exists) else { return }
    try await CgroupThread.run { try CgroupRemoval(groups: groups, timeout: timeout).run() }
  }

  func directory(_ name: CgroupName, in mount: String) -> CgroupDirectory {
    let path = name.path(driver)
    return CgroupDirectory(path: path == "/" ? mount : mount + path)
  }

  func directories(_ name: CgroupName) -> [CgroupDirectory] { hierarchy.roots.map { directory(name, in: $0) } }
}

/// A pod's group that is there.
public struct PodCgroup: Sendable, Hashable {
  public var uid: String
  public var qos: CgroupQOS

  public init(uid: String, qos: CgroupQOS) {
    self.uid = uid
    self.qos = qos
  }
}
