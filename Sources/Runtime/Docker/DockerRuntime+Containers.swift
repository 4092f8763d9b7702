extension DockerRuntime {
  public func createContainer(
    _ config: CRIContainerConfig, inSandbox sandboxID: String, sandboxConfig: CRIPodSandboxConfig
  ) async throws -> String {
    let operation = "CreateContainer"
    let sandbox = try await inspect(sandboxID, kind: .sandbox, operation: operation)
    guard sandbox.state.running else {
      throw RuntimeError(.failedPrecondition, operation: operation, message: "the sandbox \(sandboxID) doesn't run")
    }
    if scores.areRefused == nil {
      // A sandbox asks for a negative score; one that runs with another was refused it.
      _ = scores.learn(refused: (sandbox.host.oomScoreAdj ?? 0) >= 0)
    }
    let request = try DockerContainerSpec.request(
      config, sandboxID: sandbox.id, sandboxConfig: sandboxConfig, runtime: sandbox.host.runtime ?? "",
      oomScore: scores.allowed(config.linux.resources.oomScoreAdj), logOptions: logOptions)
    return try await create(operation, name: DockerName(container: config.metadata, sandbox: sandboxConfig.metadata), request)
  }

  public func startContainer(_ id: String) async throws {
    let operation = "StartContainer"
    let container = try await inspect(id, kind: .container, operation: operation)
    let started: Result<Void, any Error>
    do {
      try await api.send(operation, "POST", "/containers/\(id)/start", deadline: .usual(plus: .seconds(60)))
      started = .success(())
    } catch {
      started = .failure(error)
    }
    // Also after a failure: the log may say why. The engine names the file when it starts a container.
    if let path = container.labels[DockerLabel.logPath] {
      do {
        let target = try await inspect(id, kind: .container, operation: operation).logPath ?? ""
        try DockerLogLink.create(path, to: target)
      } catch {
        logger.warning("the container's log can't be linked", metadata: ["id": "\(id)", "path": "\(path)", "reason": "\(error)"])
      }
    }
    try started.get()
  }

  public func stopContainer(_ id: String, gracePeriod: Int64) async throws {
    let operation = "StopContainer"
    do {
      let container = try await inspect(id, kind: .container, operation: operation)
      try await stop(container.id, gracePeriod: gracePeriod, operation: operation)
    } catch let error as RuntimeError where error.code == .notFound {}
  }

  public func removeContainer(_ id: String) async throws {
    let operation = "RemoveContainer"
    do {
      try await remove(try await inspect(id, kind: .container, operation: operation), operation: operation)
    } catch let error as RuntimeError where error.code == .notFound {}
  }

  public func containerStatus(_ id: String) async throws -> CRIContainerStatus {
    let operation = "ContainerStatus"
    let container = try await inspect(id, kind: .container, operation: operation)
    return DockerStatus.container(container, image: try await inspectImage(container.image, operation: operation))
  }

  public func listContainers(_ filter: CRIContainerFilter?) async throws -> [CRIContainer] {
    let operation = "ListContainers"
    var filters = Self.filters(
      kind: .container, id: filter?.id ?? "", sandboxID: filter?.podSandboxID ?? "", labels: filter?.labelSelector ?? [:])
    let state = filter.flatMap { $0.hasState ? $0.state.state : nil }
    if state == .containerRunning { filters["status"] = ["running", "paused"] }
    var containers = try await list(operation, filters: filters).map(DockerStatus.container)
    for index in containers.indices where containers[index].state == .containerCreated {
      // A failed start leaves a container in the state "created"; for CRI it has ended.
      guard let container = try? await inspect(containers[index].id, kind: .container, operation: operation) else { continue }
      containers[index].state = DockerStatus.life(container.state, createdAt: containers[index].createdAt).state
    }
    return containers.filter { state == nil || $0.state == state }
  }

  public func updateContainerResources(_ id: String, _ resources: CRILinuxContainerResources) async throws {
    let operation = "UpdateContainerResources"
    let container = try await inspect(id, kind: .container, operation: operation)
    try await api.send(operation, "POST", "/containers/\(container.id)/update", body: DockerResources(resources))
  }

  public func checkpoint(_ id: String, to file: String, timeout: Duration?) async throws {
    throw RuntimeError(.unsupported, operation: "CheckpointContainer", message: "Docker makes checkpoints only for itself")
  }

  public func reopenContainerLog(_ id: String) async throws {
    throw RuntimeError(
      .unsupported, operation: "ReopenContainerLog", message: "Docker rotates logs itself, by its options max-size and max-file")
  }

  // MARK: Stats

  public func containerStats(_ id: String) async throws -> CRIContainerStats {
    let operation = "ContainerStats"
    let found = try await list(operation, filters: Self.filters(kind: .container, id: id))
    guard let container = found.first else {
      throw RuntimeError(.notFound, operation: operation, message: "no container \(id)")
    }
    return try await stats(of: container, operation: operation)
  }

  public func listContainerStats(_ filter: CRIContainerStatsFilter?) async throws -> [CRIContainerStats] {
    let operation = "ListContainerStats"
    var filters = Self.filters(
      kind: .container, id: filter?.id ?? "", sandboxID: filter?.podSandboxID ?? "", labels: filter?.labelSelector ?? [:])
    filters["status"] = ["running", "paused"]
    let collected = DockerCollected<CRIContainerStats>()
    try await concurrently(try await list(operation, filters: filters)) { [self] container in
      do {
        collected.add(try await stats(of: container, operation: operation))
      } catch let error as RuntimeError where error.code == .notFound {
        // It was removed after it was listed.
      }
    }
    return collected.all
  }

  private func stats(of container: DockerContainerSummary, operation: String) async throws -> CRIContainerStats {
    let answer: DockerStats = try await api.get(
      operation, "/containers/\(container.id)/stats", query: [("stream", "false"), ("one-shot", "1")])
    let described = DockerStatus.container(container)
    return .with {
      $0.attributes.id = described.id
      $0.attributes.metadata = described.metadata
      $0.attributes.labels = described.labels
      $0.attributes.annotations = described.annotations
      if let (cpu, memory) = DockerUsage.stats(answer) {
        $0.cpu = cpu
        $0.memory = memory
      }
    }
  }
}
