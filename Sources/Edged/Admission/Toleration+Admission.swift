import KubernetesAPI

extension Toleration {
  /// An empty effect or key stands for all of them.
  func tolerates(_ taint: Taint) -> Bool {
    if let effect, !effect.isEmpty, effect != taint.effect { return false }
    if let key, !key.isEmpty, key != taint.key { return false }
    switch `operator` ?? "" {
    case "", "Equal": return value ?? "" == taint.value ?? ""
    case "Exists": return true
    default: return false
    }
  }
}

extension Pod {
  func tolerates(_ taint: Taint) -> Bool { (spec.tolerations ?? []).contains { $0.tolerates(taint) } }
}
