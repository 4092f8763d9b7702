import YAML

/// Finds what only the API could give: a static pod can't have it, since the node runs it without asking anyone.
enum StaticPodReferences {
  private static let volumeSources = ["name", "emptyDir", "hostPath", "downwardAPI", "projected"]
  private static let environmentSources = ["configMapKeyRef": "ConfigMaps", "secretKeyRef": "Secrets"]
  private static let environmentLists = ["configMapRef": "ConfigMaps", "secretRef": "Secrets"]
  private static let projections = ["downwardAPI"]

  static func problems(_ pod: JSONValue) -> [FieldProblem] {
    guard let spec = pod["spec"] else { return [] }
    let path = FieldPath()["spec"]
    var problems: [FieldProblem] = []
    func refuse(_ path: FieldPath, _ what: String) {
      problems.append(FieldProblem(path: path.components, message: "a static pod can't refer to \(what)"))
    }
    for (field, what) in [("serviceAccountName", "ServiceAccounts"), ("serviceAccount", "ServiceAccounts")] {
      if let name = spec[field]?.string, !name.isEmpty { refuse(path[field], what) }
    }
    for (field, what) in [("imagePullSecrets", "Secrets"), ("resourceClaims", "ResourceClaims")] {
      if let items = spec[field]?.array, !items.isEmpty { refuse(path[field], what) }
    }
    for (index, volume) in (spec["volumes"]?.array ?? []).enumerated() {
      let path = path["volumes"][index]
      for member in volume.object ?? [] where !volumeSources.contains(member.key) && member.value != .null {
        let allowed = volumeSources.dropFirst().joined(separator: ", ")
        problems.append(
          FieldProblem(path: path[member.key].components, message: "a static pod can't have this; volumes can be: \(allowed)"))
      }
      for (place, source) in (volume["projected"]?["sources"]?.array ?? []).enumerated() {
        for member in source.object ?? [] where !projections.contains(member.key) && member.value != .null {
          let field = path["projected"]["sources"][place][member.key]
          problems.append(FieldProblem(path: field.components, message: "a static pod can't have this; sources can be: downwardAPI"))
        }
      }
    }
    for list in ["initContainers", "containers"] {
      for (index, container) in (spec[list]?.array ?? []).enumerated() {
        let path = path[list][index]
        for (place, variable) in (container["env"]?.array ?? []).enumerated() {
          for member in variable["valueFrom"]?.object ?? [] {
            if let what = environmentSources[member.key] { refuse(path["env"][place]["valueFrom"][member.key], what) }
          }
        }
        for (place, source) in (container["envFrom"]?.array ?? []).enumerated() {
          for member in source.object ?? [] {
            if let what = environmentLists[member.key] { refuse(path["envFrom"][place][member.key], what) }
          }
        }
      }
    }
    return problems
  }
}
