import KubernetesAPI
import Runtime
import YAML

extension PodOperations {
  /// Engines get at least this many seconds between the stop signal and SIGKILL.
  static let minimumStopGrace: Int64 = 2

  /// Stops all containers, sidecars after those they serve, and then the sandboxes.
  ///
  /// Failures are logged; who calls looks at what is left and tries again.
  func stopPod(_ pod: Pod, _ record: PodRecord, gracePeriod: Int64) async {
    await withTaskGroup(of: Void.self) { group in
      let order = StopOrder(pod)
      for container in record.containers where container.state == .running || container.state == .unknown {
        group.addTask {
          let waited = await order.waitForTurn(of: container.name, atMost: gracePeriod)
          let left = max(Self.minimumStopGrace, gracePeriod - waited)
          await self.stop(container, of: pod, gracePeriod: left, message: "Stopping container \(container.name)")
          order.ended(container.name)
        }
      }
      order.begin(running: record.runningContainers.map(\.name))
    }
    for sandbox in record.sandboxes where !Task.isCancelled {
      do {
        // Also one that isn't ready any more: its network is given back by this.
        try await runtime.stopPodSandbox(sandbox.id)
        _ = try await view.refreshSandbox(sandbox.id, of: pod.uid)
      } catch let error as RuntimeError where error.code == .notFound {
        continue
      } catch {
        if !Task.isCancelled {
          events.record(pod, fieldPath: nil, .warning, reason: "FailedKillPod", message: "error killing pod: \(error)")
        }
      }
    }
  }

  /// Stops one container that has to go while its pod lives on.
  func kill(_ container: ContainerRecord, of pod: Pod, cause: PodPlan.Kill.Cause, message: String) async {
    let spec = pod.container(container.name)
    let probeGrace: Int64? =
      switch cause {
      case .livenessProbe: spec?.livenessProbe?.terminationGracePeriodSeconds
      case .startupProbe: spec?.startupProbe?.terminationGracePeriodSeconds
      case .definitionChanged, .unknownState: nil
      }
    await stop(container, of: pod, gracePeriod: probeGrace ?? pod.gracePeriod, message: message)
  }

  /// Runs the preStop hook and stops the container, together within the grace period.
  func stop(_ container: ContainerRecord, of pod: Pod, gracePeriod: Int64, message: String) async {
    let fieldPath = pod.fieldPath(ofContainer: container.name)
    events.record(pod, fieldPath: fieldPath, .normal, reason: "Killing", message: message)
    let clock = ContinuousClock()
    let begin = clock.now
    if let hook = preStopHook(of: container, pod), container.state == .running, gracePeriod > 0 {
      do {
        let spec = pod.container(container.name) ?? Container(name: container.name)
        let ips = await view.record(of: pod.uid).map { addresses(of: pod, $0) } ?? []
        try await hooks.run(hook, in: spec, id: container.id, of: pod, podIPs: ips, limit: .seconds(gracePeriod))
      } catch {
        if !Task.isCancelled {
          events.record(pod, fieldPath: fieldPath, .warning, reason: "FailedPreStopHook", message: "PreStopHook failed: \(error)")
        }
      }
    }
    let left = max(Self.minimumStopGrace, gracePeriod - (clock.now - begin).components.seconds)
    do {
      try await runtime.stopContainer(container.id, gracePeriod: left)
      await view.refreshContainer(container.id)
    } catch {
      if !Task.isCancelled {
        logger.warning(
          "stopping a container failed",
          metadata: ["pod": "\(pod.fullName)", "container": "\(container.name)", "error": "\(error)"])
      }
    }
  }

  /// The hook of the pod as it is wished, or the one that was noted on the container if the pod isn't known any more.
  private func preStopHook(of container: ContainerRecord, _ pod: Pod) -> LifecycleHandler? {
    if let spec = pod.container(container.name), spec.command != nil || spec.lifecycle != nil { return spec.lifecycle?.preStop }
    guard let text = container.annotations[RuntimeAnnotation.preStopHandler] else { return nil }
    return try? JSONValue(json: text).decode()
  }
}
