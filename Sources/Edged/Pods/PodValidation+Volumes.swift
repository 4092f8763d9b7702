import KubernetesAPI

extension PodValidation {
  private static let modes: ClosedRange<Int32> = 0...0o777
  /// Fields that files of a volume may show, beside `metadata.labels['…']` and `metadata.annotations['…']`.
  private static let fileFields = ["metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels", "metadata.annotations"]

  mutating func checkVolumes(_ path: FieldPath) {
    var names: Set<String> = []
    for (index, volume) in (pod.spec.volumes ?? []).enumerated() {
      let path = path[index]
      check(path["name"], volume.name, NameRules.label)
      if !volume.name.isEmpty, !names.insert(volume.name).inserted {
        add(path["name"], "\"\(volume.name)\" is the name of another volume of this pod")
      }
      let sources = [
        ("emptyDir", volume.emptyDir != nil), ("hostPath", volume.hostPath != nil), ("configMap", volume.configMap != nil),
        ("secret", volume.secret != nil), ("downwardAPI", volume.downwardAPI != nil), ("projected", volume.projected != nil),
        ("persistentVolumeClaim", volume.persistentVolumeClaim != nil),
      ]
      checkOne(path, of: sources, what: "source")
      if let source = volume.emptyDir { check(source, path["emptyDir"]) }
      if let source = volume.hostPath { check(source, path["hostPath"]) }
      if let source = volume.downwardAPI {
        check(path["downwardAPI"]["defaultMode"], source.defaultMode, in: Self.modes)
        check(source.items ?? [], path["downwardAPI"]["items"])
      }
      if let source = volume.projected { check(source, path["projected"]) }
    }
  }

  private mutating func check(_ source: EmptyDirVolumeSource, _ path: FieldPath) {
    let medium = source.medium ?? ""
    if medium.hasPrefix("HugePages-") {
      if Quantity(String(medium.dropFirst("HugePages-".count))) == nil {
        add(path["medium"], "\"\(medium)\" names no page size, e.g. HugePages-2Mi")
      }
    } else {
      check(path["medium"], medium, oneOf: ["", "Memory", "HugePages"])
    }
    if let limit = source.sizeLimit, limit.milliValue < 0 { add(path["sizeLimit"], "\(limit) must not be negative") }
  }

  private mutating func check(_ source: HostPathVolumeSource, _ path: FieldPath) {
    if source.path.isEmpty {
      add(path["path"], "is missing")
    } else if !source.path.hasPrefix("/") {
      add(path["path"], "\"\(source.path)\" must be an absolute path")
    }
    checkNoWayUp(path["path"], source.path)
    check(path["type"], source.type, oneOf: HostPath.types)
  }

  private mutating func check(_ source: ProjectedVolumeSource, _ path: FieldPath) {
    check(path["defaultMode"], source.defaultMode, in: Self.modes)
    for (index, projection) in (source.sources ?? []).enumerated() {
      let path = path["sources"][index]
      let sources = [
        ("downwardAPI", projection.downwardAPI != nil), ("configMap", projection.configMap != nil), ("secret", projection.secret != nil),
        ("serviceAccountToken", projection.serviceAccountToken != nil),
      ]
      checkOne(path, of: sources, what: "source")
      if let source = projection.downwardAPI { check(source.items ?? [], path["downwardAPI"]["items"]) }
    }
  }

  private mutating func check(_ items: [DownwardAPIVolumeFile], _ path: FieldPath) {
    var paths: Set<String> = []
    for (index, item) in items.enumerated() {
      let path = path[index]
      do throws(VolumeError) {
        let name = try AtomicWriter.normalized(item.path)
        if !paths.insert(name).inserted { add(path["path"], "\"\(item.path)\" is the path of another item") }
      } catch {
        add(path["path"], item.path.isEmpty ? "is missing" : error.description.replacing("path \"\(item.path)\"", with: "\"\(item.path)\""))
      }
      check(path["mode"], item.mode, in: Self.modes)
      let sources = [("fieldRef", item.fieldRef != nil), ("resourceFieldRef", item.resourceFieldRef != nil)]
      checkOne(path, of: sources, what: "source")
      if let field = item.fieldRef?.fieldPath, !Self.fileFields.contains(field), !Self.isSubscript(field) {
        let allowed = (Self.fileFields + ["metadata.labels['…']", "metadata.annotations['…']"]).joined(separator: ", ")
        add(path["fieldRef"]["fieldPath"], "\"\(field)\" is unknown; allowed are \(allowed)")
      }
      if let selector = item.resourceFieldRef { check(path["resourceFieldRef"], selector, needsContainer: true) }
    }
  }

  mutating func checkMounts(_ path: FieldPath, _ container: Container) {
    let volumes = (pod.spec.volumes ?? []).map(\.name)
    var places: [String: String] = [:]
    for (index, mount) in (container.volumeMounts ?? []).enumerated() {
      let path = path[index]
      if mount.name.isEmpty {
        add(path["name"], "is missing")
      } else if !volumes.contains(mount.name) {
        let known = volumes.isEmpty ? "it has none" : "volumes are: " + volumes.joined(separator: ", ")
        add(path["name"], "\"\(mount.name)\" names no volume of this pod; \(known)")
      }
      checkPlace(path["mountPath"], mount, &places)
      if let subPath = mount.subPath, !subPath.isEmpty {
        checkRelative(path["subPath"], subPath)
        if mount.subPathExpr?.isEmpty == false { add(path["subPathExpr"], "must not be set where subPath is") }
      }
      if let expression = mount.subPathExpr, !expression.isEmpty { checkRelative(path["subPathExpr"], expression) }
      checkModes(path, mount, container)
    }
  }

  private mutating func checkPlace(_ path: FieldPath, _ mount: VolumeMount, _ places: inout [String: String]) {
    if mount.mountPath.isEmpty { return add(path, "is missing") }
    if mount.mountPath.contains(":") { add(path, "\"\(mount.mountPath)\" must not contain \":\"") }
    checkNoWayUp(path, mount.mountPath)
    let place = mount.mountPath.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    if place.isEmpty { add(path, "\"\(mount.mountPath)\" must not be the root of the container") }
    if let other = places.updateValue(mount.name, forKey: place) {
      add(path, "\"\(mount.mountPath)\" is where volume \"\(other)\" is mounted already")
    }
  }

  private mutating func checkModes(_ path: FieldPath, _ mount: VolumeMount, _ container: Container) {
    check(path["mountPropagation"], mount.mountPropagation, oneOf: ["None", "HostToContainer", "Bidirectional"])
    if mount.mountPropagation == "Bidirectional", container.securityContext?.privileged != true {
      add(path["mountPropagation"], "\"Bidirectional\" needs a privileged container")
    }
    check(path["recursiveReadOnly"], mount.recursiveReadOnly, oneOf: ["Disabled", "IfPossible", "Enabled"])
    guard let mode = mount.recursiveReadOnly, mode == "IfPossible" || mode == "Enabled" else { return }
    if mount.readOnly != true { add(path["recursiveReadOnly"], "\"\(mode)\" needs readOnly to be true") }
    if mount.mountPropagation != nil, mount.mountPropagation != "None" {
      add(path["recursiveReadOnly"], "\"\(mode)\" needs mountPropagation to be None")
    }
  }
}
