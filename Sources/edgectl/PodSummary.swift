import KubernetesAPI

/// One line about a pod, with the words that kubectl uses.
struct PodSummary {
  var pod: Pod

  private var regular: [ContainerStatus] { pod.status?.containerStatuses ?? [] }
  private var initial: [ContainerStatus] { pod.status?.initContainerStatuses ?? [] }
  private var sidecars: Set<String> { Set((pod.spec.initContainers ?? []).filter { $0.restartPolicy == .always }.map(\.name)) }

  var ready: String {
    let beside = initial.filter { sidecars.contains($0.name) }
    let all = regular + beside
    return "\(all.filter(\.ready).count)/\(pod.spec.containers.count + sidecars.count)"
  }

  var restarts: String {
    let all = regular + initial.filter { sidecars.contains($0.name) }
    let count = all.map(\.restartCount).reduce(0, +)
    let last = all.compactMap { $0.lastState?.terminated?.finishedAt }.max()
    guard count > 0, let last else { return String(count) }
    return "\(count) (\(age(of: last)) ago)"
  }

  var ip: String { pod.status?.podIP ?? "-" }

  /// The phase, or what is more telling: `CrashLoopBackOff`, `Init:1/2`, `Terminating`, `Completed`.
  var state: String {
    if pod.metadata.deletionTimestamp != nil { return "Terminating" }
    if let reason = pod.status?.reason, !reason.isEmpty { return reason }
    let initCount = pod.spec.initContainers?.count ?? 0
    for (index, status) in initial.enumerated() {
      if sidecars.contains(status.name), status.started == true { continue }
      if let ended = status.state?.terminated {
        if ended.exitCode == 0 { continue }
        return "Init:\(ended.reason ?? "ExitCode:\(ended.exitCode)")"
      }
      if regular.contains(where: { $0.containerID != nil }) { break }
      if let reason = status.state?.waiting?.reason, reason != "PodInitializing" { return "Init:\(reason)" }
      return "Init:\(index)/\(initCount)"
    }
    for status in regular.reversed() {
      if let reason = status.state?.waiting?.reason { return reason }
      if let ended = status.state?.terminated, pod.status?.phase != .running || regular.allSatisfy({ $0.state?.running == nil }) {
        return ended.reason ?? "ExitCode:\(ended.exitCode)"
      }
    }
    return pod.status?.phase?.rawValue ?? "Pending"
  }
}
