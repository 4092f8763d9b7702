import KubernetesAPI

/// Decides on pods one after the other, and keeps in mind who waits for room and who is on the way out to make it.
struct AdmissionBook: Sendable {
  enum Decision: Sendable, Hashable {
    /// The pod may start.
    case admitted
    /// The pod has failed for good.
    case refused(AdmissionRejection)
    /// The pod can't start now; it is asked about again.
    case heldBack(AdmissionRejection)
    /// There will be room for the pod, which is kept for it, once pods have ended: those given here, and others of which that was
    /// said before. It is asked about again.
    case waits(evicting: [Pod])
  }

  /// By UID: pods for which room is being made.
  private var reserved: [String: Pod] = [:]
  private var heldBack: Set<String> = []
  /// UIDs of active pods that have been told to go.
  private var evicted: Set<String> = []

  /// Nobody is to be asked about again.
  var isEmpty: Bool { reserved.isEmpty && heldBack.isEmpty }

  /// - Parameters:
  ///   - mayWait: A refusal now is none for ever: nobody else can replace the pod.
  ///   - active: The pods that run or are about to.
  ///   - leaving: UIDs of those of them that end anyway.
  ///   - wasAdmitted: See `PodAdmission`.
  mutating func decide(
    _ pod: Pod, mayWait: Bool, beside active: [Pod], leaving: Set<String> = [], wasAdmitted: Bool = false, _ admission: PodAdmission
  ) -> Decision {
    let others = active.filter { $0.uid != pod.uid }
    evicted.formIntersection(others.map(\.uid))
    let staying = others.filter { !evicted.contains($0.uid) && !leaving.contains($0.uid) }
    let expected = staying + reserved.values.filter { $0.uid != pod.uid }
    guard let rejection = admission.rejection(of: pod, beside: expected, wasAdmitted: wasAdmitted) else {
      if staying.count == others.count || admission.rejection(of: pod, beside: others, wasAdmitted: wasAdmitted) == nil {
        forget(pod.uid)
        return .admitted
      }
      return wait(pod, evicting: [])
    }
    if !rejection.shortfalls.isEmpty, let victims = Preemption.victims(for: pod, rejection.shortfalls, among: staying) {
      return wait(pod, evicting: victims)
    }
    forget(pod.uid)
    guard mayWait else { return .refused(rejection) }
    heldBack.insert(pod.uid)
    return .heldBack(rejection)
  }

  private mutating func wait(_ pod: Pod, evicting victims: [Pod]) -> Decision {
    heldBack.remove(pod.uid)
    reserved[pod.uid] = pod
    evicted.formUnion(victims.map(\.uid))
    return .waits(evicting: victims)
  }

  /// The pod isn't wished for any more, or has what it waited for.
  mutating func forget(_ uid: String) {
    reserved[uid] = nil
    heldBack.remove(uid)
  }
}
