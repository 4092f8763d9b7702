import KubernetesAPI
import Runtime

/// Asks the container engine for what a node's status says of it, and no more often than the answers can change.
actor NodeEngine {
  private let runtime: Calls
  private let clock: ProbeClock
  private var last = NodeObservation.Engine()
  private var answered: Duration?
  private var listed: (images: [NodeObservation.Image], at: Duration)?

  /// An engine that is silent for longer is down; one that is started again isn't silent for so long.
  static let patience: Duration = .seconds(30)
  private static let imageInterval: Duration = .seconds(60)
  private static let timeLimit: Duration = .seconds(15)

  /// The part of a container engine that is needed here.
  struct Calls: Sendable {
    var status: @Sendable () async throws -> CRIRuntimeStatus
    var version: @Sendable () async throws -> CRIVersionResponse
    var features: @Sendable () async throws -> CRIRuntimeFeatures
    var images: @Sendable () async throws -> [CRIImage]
  }

  init(_ runtime: Calls, clock: ProbeClock) {
    self.runtime = runtime
    self.clock = clock
  }

  /// - Parameter fully: asks also for what changes only when the engine is started again.
  func observe(fully: Bool) async -> NodeObservation.Engine {
    let runtime = runtime
    do {
      let status = try await withTimeLimit(Self.timeLimit) { try await runtime.status() }
      let wasAway = answered == nil || !last.problems.isEmpty
      answered = clock.now()
      last.problems = Self.problems(status)
      if fully || wasAway || last.version.isEmpty { await observeVersion() }
    } catch {
      let isPatient = answered.map { clock.now() - $0 < Self.patience } ?? false
      if !isPatient, !(error is CancellationError) { last.problems = ["container runtime is down: \(error)"] }
    }
    return last
  }

  private func observeVersion() async {
    let runtime = runtime
    if let version = try? await withTimeLimit(Self.timeLimit, { try await runtime.version() }) {
      last.name = version.runtimeName
      last.version = version.runtimeVersion
    }
    if let features = try? await withTimeLimit(Self.timeLimit, { try await runtime.features() }) {
      last.supplementalGroupsPolicy = features.supplementalGroupsPolicy
    }
  }

  static func problems(_ status: CRIRuntimeStatus) -> [String] {
    [("RuntimeReady", "container runtime not ready"), ("NetworkReady", "container runtime network not ready")].compactMap { type, problem in
      guard let condition = status.conditions.first(where: { $0.type == type }) else {
        return "\(problem): the engine doesn't tell \(type)"
      }
      return condition.status ? nil : "\(problem): \(type)=false reason:\(condition.reason) message:\(condition.message)"
    }
  }

  /// The images, from memory within a minute or when the engine doesn't answer.
  func images() async -> [NodeObservation.Image] {
    if let listed, clock.now() - listed.at < Self.imageInterval { return listed.images }
    let runtime = runtime
    guard let images = try? await withTimeLimit(Self.timeLimit, { try await runtime.images() }) else { return listed?.images ?? [] }
    let told = images.map {
      NodeObservation.Image(id: $0.id, digests: $0.repoDigests, tags: $0.repoTags, bytes: Int64(clamping: $0.size))
    }
    listed = (told, clock.now())
    return told
  }
}

extension NodeEngine.Calls {
  init(_ runtime: any ContainerRuntime) {
    self.init(
      status: { try await runtime.status() }, version: { try await runtime.version() }, features: { try await runtime.features() },
      images: { try await runtime.listImages() })
  }
}
