import KubernetesAPI

/// Which pods have to go so that a critical one can come.
enum Preemption {
  static let reason = "Preempting"
  static let message = "Preempted in order to admit critical pod"
  /// Of the condition `DisruptionTarget`.
  static let conditionMessage = "Pod was preempted by Kubelet to accommodate a critical pod."

  /// As few pods as give back what is missing, those with less of a claim first: without requests, then burstable, then guaranteed.
  ///
  /// - Returns: nil if all together are not enough.
  static func victims(for pod: Pod, _ shortfalls: [ResourceShortfall], among pods: [Pod]) -> [Pod]? {
    let claims = pods.filter { canGo($0, for: pod) }.map { Claim($0, shortfalls) }
    func group(_ qos: PodQOSClass) -> [Claim] { claims.filter { $0.qos == qos } }
    let missing = shortfalls.map(\.missing)
    let (bestEffort, burstable, guaranteed) = (group(.bestEffort), group(.burstable), group(.guaranteed))
    // From those with the strongest claim only what the others can't give, however many of them go.
    guard let strongest = closest(guaranteed, to: rest(of: missing, after: bestEffort + burstable)),
      let middle = closest(burstable, to: rest(of: missing, after: bestEffort + strongest)),
      let weakest = closest(bestEffort, to: rest(of: missing, after: middle + strongest))
    else { return nil }
    return (weakest + middle + strongest).map(\.pod)
  }

  static func canGo(_ pod: Pod, for critical: Pod) -> Bool {
    if !CriticalPod.isCritical(pod) { return true }
    guard let own = pod.spec.priority, let other = critical.spec.priority else { return false }
    return own < other
  }

  /// What a pod holds of what is missing.
  private struct Claim {
    var pod: Pod
    var qos: PodQOSClass
    /// In the order of the shortfalls.
    var amounts: [Int64]
    var memory: Int64
    var cpu: Int64

    init(_ pod: Pod, _ shortfalls: [ResourceShortfall]) {
      self.pod = pod
      qos = QOSClass.of(pod)
      amounts = shortfalls.map { ResourceFit.amount($0.resource, of: pod) }
      memory = ResourceFit.amount("memory", of: pod)
      cpu = ResourceFit.amount("cpu", of: pod)
    }

    /// How far from enough the pod is: 0 is enough. Each resource has the same weight.
    func distance(to missing: [Int64]) -> Double {
      zip(missing, amounts).reduce(0) { sum, pair in
        guard pair.0 > pair.1 else { return sum }
        let share = Double(pair.0 - pair.1) / Double(pair.0)
        return sum + share * share
      }
    }
  }

  private static func rest(of missing: [Int64], after claims: [Claim]) -> [Int64] {
    claims.reduce(missing) { missing, claim in zip(missing, claim.amounts).map { max(0, $0 - $1) } }
  }

  /// One after the other the pod that is closest to what is still missing; of two, the smaller one.
  private static func closest(_ claims: [Claim], to missing: [Int64]) -> [Claim]? {
    var left = claims
    var missing = missing
    var chosen: [Claim] = []
    while missing.contains(where: { $0 > 0 }) {
      let best = left.indices.min { a, b in
        let (first, second) = (left[a], left[b])
        return (first.distance(to: missing), first.memory, first.cpu, first.pod.fullName)
          < (second.distance(to: missing), second.memory, second.cpu, second.pod.fullName)
      }
      guard let best else { return nil }
      let claim = left.remove(at: best)
      chosen.append(claim)
      missing = rest(of: missing, after: [claim])
    }
    return chosen
  }
}
