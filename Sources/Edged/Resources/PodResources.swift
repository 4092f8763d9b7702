import KubernetesAPI

/// What a pod as a whole asks for and may use.
///
/// Regular containers and sidecars run together, so they add up. An init container runs alone, but beside the sidecars started
/// before it; the pod needs the most that is needed at any time.
enum PodResources {
  static func requests(_ pod: Pod, includingOverhead: Bool = true) -> ResourceList {
    var total = total(of: pod, \.requests)
    if let podLevel = pod.spec.resources {
      let requests = (podLevel.requests ?? [:]).merging(podLevel.limits ?? [:]) { request, _ in request }
      for (name, amount) in requests where isPodLevel(name) { total[name] = amount }
    }
    if includingOverhead { total.add(pod.spec.overhead ?? [:]) }
    return total
  }

  /// A resource without any limit has no entry; a container without a limit doesn't lift those of the others.
  static func limits(_ pod: Pod, includingOverhead: Bool = true) -> ResourceList {
    var total = total(of: pod, \.limits)
    for (name, amount) in pod.spec.resources?.limits ?? [:] where isPodLevel(name) { total[name] = amount }
    if includingOverhead { total.add((pod.spec.overhead ?? [:]).filter { total[$0.key] != nil }) }
    return total
  }

  private static func total(of pod: Pod, _ amounts: (Container) -> ResourceList) -> ResourceList {
    var running: ResourceList = [:]
    for container in pod.spec.containers { running.add(amounts(container)) }
    var sidecars: ResourceList = [:]
    var initial: ResourceList = [:]
    for container in pod.spec.initContainers ?? [] {
      if container.isSidecar {
        running.add(amounts(container))
        sidecars.add(amounts(container))
        initial.raise(to: sidecars)
      } else {
        var together = sidecars
        together.add(amounts(container))
        initial.raise(to: together)
      }
    }
    running.raise(to: initial)
    return running
  }

  private static func isPodLevel(_ name: String) -> Bool { name == "cpu" || name == "memory" || name.hasPrefix("hugepages-") }
}
