extension DockerRuntime {
  public func runPodSandbox(_ config: CRIPodSandboxConfig, runtimeHandler: String) async throws -> String {
    let score = scores.allowed(DockerOOMScores.sandbox)
    do {
      return try await startSandbox(config, runtimeHandler: runtimeHandler, oomScore: score)
    } catch let error as RuntimeError where score < 0 && DockerOOMScores.explains(error) {
      // When it starts without a negative score, the score was the reason.
      let id = try await startSandbox(config, runtimeHandler: runtimeHandler, oomScore: 0)
      if scores.learn(refused: true) {
        logger.warning("the engine can't give containers a negative OOM score; they get 0", metadata: ["reason": "\(error.message)"])
      }
      return id
    }
  }

  private func startSandbox(_ config: CRIPodSandboxConfig, runtimeHandler: String, oomScore score: Int64) async throws -> String {
    let operation = "RunPodSandbox"
    let request = try DockerSandboxSpec.request(
      config, image: podSandboxImage, runtime: runtimeHandler, oomScore: score, logOptions: logOptions)
    let name = DockerName(sandbox: config.metadata)
    let id: String
    do {
      id = try await create(operation, name: name, request)
    } catch let error as RuntimeError where error.code == .notFound {
      // The pause image is missing.
      _ = try await pullImage(podSandboxImage, auth: nil, sandboxConfig: nil)
      id = try await create(operation, name: name, request)
    }
    do {
      try await api.send(operation, "POST", "/containers/\(id)/start", deadline: .usual(plus: .seconds(60)))
      if config.hasDnsConfig {
        let container = try await inspect(id, kind: .sandbox, operation: operation)
        if let path = container.resolvConfPath, !path.isEmpty { try DockerResolvConf.rewrite(path, config.dnsConfig) }
      }
      if score < 0 { _ = scores.learn(refused: false) }
      return id
    } catch {
      // Also when the caller has been cancelled: half a sandbox would keep the pod's name.
      await Task { [self] in
        do {
          try await remove(id, operation: operation)
        } catch {
          logger.warning("a sandbox that failed to start stays behind", metadata: ["id": "\(id)", "reason": "\(error)"])
        }
      }.value
      throw error
    }
  }

  public func stopPodSandbox(_ id: String) async throws {
    let operation = "StopPodSandbox"
    let sandbox: DockerContainer
    do {
      sandbox = try await inspect(id, kind: .sandbox, operation: operation)
    } catch let error as RuntimeError where error.code == .notFound {
      return
    }
    var filters = Self.filters(kind: .container, sandboxID: sandbox.id)
    filters["status"] = ["running", "paused"]
    try await concurrently(try await list(operation, filters: filters).map(\.id)) { [self] container in
      try await stop(container, gracePeriod: 0, operation: operation)
    }
    // The end of the pause process gives the network back.
    if sandbox.state.running { try await stop(sandbox.id, gracePeriod: 2, operation: operation) }
  }

  public func removePodSandbox(_ id: String) async throws {
    let operation = "RemovePodSandbox"
    let containers = try await list(operation, filters: Self.filters(kind: .container, sandboxID: id))
    try await concurrently(containers) { [self] container in
      try await remove(container.id, operation: operation)
      if let path = container.labels?[DockerLabel.logPath] { DockerLogLink.remove(path, ofContainer: container.id) }
    }
    do {
      try await remove(try await inspect(id, kind: .sandbox, operation: operation), operation: operation)
    } catch let error as RuntimeError where error.code == .notFound {}
  }

  public func podSandboxStatus(_ id: String) async throws -> CRIPodSandboxStatus {
    DockerStatus.sandbox(try await inspect(id, kind: .sandbox, operation: "PodSandboxStatus"))
  }

  public func listPodSandboxes(_ filter: CRIPodSandboxFilter?) async throws -> [CRIPodSandbox] {
    var filters = Self.filters(kind: .sandbox, id: filter?.id ?? "", labels: filter?.labelSelector ?? [:])
    let state = filter.flatMap { $0.hasState ? $0.state.state : nil }
    if state == .sandboxReady { filters["status"] = ["running", "paused"] }
    return try await list("ListPodSandbox", filters: filters).map(DockerStatus.sandbox).filter { state == nil || $0.state == state }
  }

  /// Runs `body` for each item, a few at a time; throws the first failure after all have ended.
  func concurrently<Item: Sendable>(_ items: [Item], _ body: @escaping @Sendable (Item) async throws -> Void) async throws {
    var failure: (any Error)?
    await withTaskGroup(of: (any Error)?.self) { group in
      for (index, item) in items.enumerated() {
        if index >= 8, let ended = await group.next() { failure = failure ?? ended }
        group.addTask {
          do {
            try await body(item)
            return nil
          } catch {
            return error
          }
        }
      }
      for await ended in group { failure = failure ?? ended }
    }
    if let failure { throw failure }
  }
}
