extension CRIRuntime {
  public func createContainer(
    _ config: CRIContainerConfig, inSandbox sandboxID: String, sandboxConfig: CRIPodSandboxConfig
  ) async throws -> String {
    var request = CRICreateContainerRequest()
    request.podSandboxID = sandboxID
    request.config = config
    request.sandboxConfig = sandboxConfig
    let reply: CRICreateContainerResponse = try await call("CreateContainer", request)
    return try reply.containerID.validated("CreateContainer", "container_id")
  }

  public func startContainer(_ id: String) async throws {
    var request = CRIStartContainerRequest()
    request.containerID = id
    let _: CRIEmpty = try await call("StartContainer", request)
  }

  public func stopContainer(_ id: String, gracePeriod: Int64) async throws {
    var request = CRIStopContainerRequest()
    request.containerID = id
    request.timeout = gracePeriod
    try await callUnlessGone("StopContainer", request, extra: .seconds(max(gracePeriod, 0)))
  }

  public func removeContainer(_ id: String) async throws {
    var request = CRIRemoveContainerRequest()
    request.containerID = id
    try await callUnlessGone("RemoveContainer", request)
  }

  public func containerStatus(_ id: String) async throws -> CRIContainerStatus {
    var request = CRIContainerStatusRequest()
    request.containerID = id
    return try await call("ContainerStatus", request, reply: CRIContainerStatusResponse.self).status.validated()
  }

  public func listContainers(_ filter: CRIContainerFilter?) async throws -> [CRIContainer] {
    var request = CRIListContainersRequest()
    if let filter { request.filter = filter }
    return try await call("ListContainers", request, reply: CRIListContainersResponse.self).containers
  }

  public func updateContainerResources(_ id: String, _ resources: CRILinuxContainerResources) async throws {
    var request = CRIUpdateContainerResourcesRequest()
    request.containerID = id
    request.linux = resources
    let _: CRIEmpty = try await call("UpdateContainerResources", request)
  }

  public func checkpoint(_ id: String, to file: String, timeout: Duration?) async throws {
    var request = CRICheckpointContainerRequest()
    request.containerID = id
    request.location = file
    request.timeout = timeout?.components.seconds ?? 0
    // The engine may take long over much memory; who asked can leave.
    let _: CRICheckpointContainerResponse = try await call(.runtime, "CheckpointContainer", request, timeout: nil)
  }

  public func reopenContainerLog(_ id: String) async throws {
    var request = CRIReopenContainerLogRequest()
    request.containerID = id
    let _: CRIEmpty = try await call("ReopenContainerLog", request)
  }

  public func containerStats(_ id: String) async throws -> CRIContainerStats {
    var request = CRIContainerStatsRequest()
    request.containerID = id
    return try await call("ContainerStats", request, reply: CRIContainerStatsResponse.self).stats
  }

  public func listContainerStats(_ filter: CRIContainerStatsFilter?) async throws -> [CRIContainerStats] {
    var request = CRIListContainerStatsRequest()
    if let filter { request.filter = filter }
    return try await call("ListContainerStats", request, reply: CRIListContainerStatsResponse.self).stats
  }
}
