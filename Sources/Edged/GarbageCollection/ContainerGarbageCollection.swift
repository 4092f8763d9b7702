import KubernetesAPI
import Logging
import Runtime

/// Removes dead containers, their logs, sandboxes that nobody needs, and what pods that are gone left among the logs.
public actor ContainerGarbageCollection {
  public struct Policy: Sendable, Hashable {
    /// Dead containers that are kept per pod and container name; negative keeps any number.
    public var containersPerName = 1
    /// Dead containers that are kept on the whole node; negative keeps any number.
    public var containers = -1
    /// A container younger than this stays.
    public var minimumAge: Duration = .zero

    public init() {}
  }

  private let runtime: any ContainerRuntime
  private let paths: NodePaths
  private let links: ContainerLogLinks
  private let policy: Policy
  private let logger: Logger
  private let now: @Sendable () -> Timestamp

  public init(
    runtime: any ContainerRuntime, paths: NodePaths, policy: Policy = Policy(), logger: Logger,
    now: @escaping @Sendable () -> Timestamp = { .now }
  ) {
    self.runtime = runtime
    self.paths = paths
    self.policy = policy
    self.logger = logger
    self.now = now
    links = ContainerLogLinks(directory: paths.containerLogs)
  }

  /// Collects once; failures are logged, and what failed is tried again next time.
  /// - Parameters:
  ///   - sourcesReady: whether all pods are known; until then none counts as gone.
  ///   - knownPods: uids of pods that exist or are being ended. It is asked after everything was listed: a pod that appears
  ///     meanwhile is never taken for one that is gone.
  /// - Returns: what failed, in words; for the node's event `ContainerGCFailed`.
  @discardableResult
  public func collect(sourcesReady: Bool, knownPods: @Sendable () async -> Set<String>) async -> [String] {
    var failures: [String] = []
    do {
      let logDirectories = try FileSystem.list(paths.podLogs)
      let containers = try await runtime.listContainers(nil)
      // After the containers: a sandbox without any that isn't ready doesn't get one any more.
      let sandboxes = try await runtime.listPodSandboxes(nil)
      let known = sourcesReady ? await knownPods() : nil

      let selection = GarbageSelection(policy: policy, now: now().nanoseconds, knownPods: known)
      let removed = await remove(selection.containers(containers), &failures)
      let left = containers.filter { !removed.contains($0.id) }
      for sandbox in selection.sandboxes(sandboxes, containers: left) { await remove(sandbox, &failures) }
      if let known {
        removeLogDirectories(logDirectories, known, &failures)
        try links.removeDead(running: Set(left.lazy.filter { $0.state == .containerRunning }.map(\.id)))
      }
    } catch {
      if Task.isCancelled { return failures }
      failures.append("\(error)")
    }
    for failure in failures { logger.warning("garbage collection failed", metadata: ["error": "\(failure)"]) }
    return failures
  }

  /// Returns the ids of the containers that are gone.
  private func remove(_ containers: [CRIContainer], _ failures: inout [String]) async -> Set<String> {
    var removed: Set<String> = []
    for container in containers where !Task.isCancelled {
      do {
        // The log first: it is found through the container, and no longer once that is gone.
        try removeLog(of: container)
        try await runtime.removeContainer(container.id)
        removed.insert(container.id)
      } catch {
        if !Task.isCancelled { failures.append("container \(container.id): \(error)") }
      }
    }
    return removed
  }

  private func removeLog(of container: CRIContainer) throws {
    let labels = container.labels
    guard let pod = labels[RuntimeLabel.podName], let namespace = labels[RuntimeLabel.podNamespace],
      let uid = labels[RuntimeLabel.podUID], let name = labels[RuntimeLabel.containerName]
    else { return }
    let restarts = container.annotations[RuntimeAnnotation.restartCount].flatMap { Int($0) } ?? Int(container.metadata.attempt)
    let directory = paths.podLogDirectory(namespace: namespace, name: pod, uid: uid)
    try LogDirectory.removeLog(directory + "/" + paths.containerLogPath(container: name, restartCount: restarts))
    try links.remove(pod: pod, namespace: namespace, container: name, containerID: container.id)
  }

  private func remove(_ sandbox: CRIPodSandbox, _ failures: inout [String]) async {
    if Task.isCancelled { return }
    do {
      // It should be stopped already; if it isn't, its network would be lost for good.
      try await runtime.stopPodSandbox(sandbox.id)
      try await runtime.removePodSandbox(sandbox.id)
    } catch {
      if !Task.isCancelled { failures.append("sandbox \(sandbox.id): \(error)") }
    }
  }

  private func removeLogDirectories(_ names: [String], _ knownPods: Set<String>, _ failures: inout [String]) {
    for name in names {
      // <namespace>_<name>_<uid>; neither part has an underscore of its own.
      let parts = name.split(separator: "_", omittingEmptySubsequences: false)
      guard parts.count == 3, !knownPods.contains(String(parts[2])) else { continue }
      do { try FileSystem.removeTree(paths.podLogs + "/" + name) } catch { failures.append("\(error)") }
    }
  }
}
