/// What is to know about a kind of objects.
struct ObjectKind: Sendable {
  /// The kind in lower case, as it is in resources on the wire.
  let type: String
  let plural: String
  let group: String
  let isNamespaced: Bool

  private static let clusterScoped: Set<String> = [
    "node", "persistentvolume", "namespace", "volumeattachment", "storageclass", "clusterrole", "clusterrolebinding", "csinode",
    "csidriver",
    "runtimeclass", "priorityclass", "certificatesigningrequest", "customresourcedefinition", "nodeupgradejob", "imageprepulljob",
  ]

  private static let groups = [
    "lease": "coordination.k8s.io", "volumeattachment": "storage.k8s.io", "storageclass": "storage.k8s.io",
    "certificatesigningrequest": "certificates.k8s.io", "device": "devices.kubeedge.io", "devicemodel": "devices.kubeedge.io",
    "devicestatus": "devices.kubeedge.io",
  ]

  /// - Parameter name: `Pod`, `pod` or `pods`.
  init(_ name: String) {
    var type = name.lowercased()
    switch type {
    case "po": type = "pod"
    case "no": type = "node"
    case "cm": type = "configmap"
    case "sa": type = "serviceaccount"
    case "ev": type = "event"
    case "ns": type = "namespace"
    case "pv": type = "persistentvolume"
    case "pvc": type = "persistentvolumeclaim"
    case "endpoints", "devicestatus": break
    case let plural where plural.hasSuffix("classes"): type = String(plural.dropLast(2))
    case let plural where plural.hasSuffix("s") && !plural.hasSuffix("class"): type = String(plural.dropLast())
    default: break
    }
    self.type = type
    plural = type == "endpoints" ? type : type.hasSuffix("class") || type.hasSuffix("status") ? type + "es" : type + "s"
    group = Self.groups[type] ?? ""
    isNamespaced = !Self.clusterScoped.contains(type)
  }
}
