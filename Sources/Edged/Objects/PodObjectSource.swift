import Core
import KubernetesAPI
import Logging
import Synchronization

/// Gathers what pods refer to: from memory what the store tells every change of, else from the store, and through it from the cloud.
final class PodObjectSource: Sendable {
  static let defaultDeadline = Duration.seconds(10)

  /// What is gathered.
  enum Scope: Sendable {
    /// All that starting the pod's containers needs.
    case everything
    /// What its files are made of.
    case volumes
  }

  private enum Gathered: Sendable {
    case object(PodObjects.Reference, Result<ObjectContent, ObjectAbsence>)
    case token(ServiceAccountTokens.Request, Result<ServiceAccountToken, ObjectAbsence>)
  }

  private let client: MetadataClient?
  private let tokens: ServiceAccountTokens?
  private let deadline: Duration
  private let logger: Logger
  private let cache = Mutex(PodObjectCache())

  /// - Parameters:
  ///   - client: nil for an agent without a cloud: its pods can't refer to anything.
  ///   - deadline: for each object.
  init(client: MetadataClient?, logger: Logger, deadline: Duration = defaultDeadline, tokens: ServiceAccountTokens? = nil) {
    self.client = client
    self.deadline = deadline
    self.logger = logger
    self.tokens = tokens ?? client.map { ServiceAccountTokens(client: $0, deadline: deadline, logger: logger) }
  }

  /// What a pod refers to, as it is now.
  ///
  /// - Throws: `CancellationError`.
  func objects(of pod: Pod, _ scope: Scope = .everything) async throws -> PodObjects {
    guard let client, let tokens else { return .withoutCloud }
    let references = PodReferences(pod)
    if references.isEmpty {
      // It may have referred to something before.
      cache.withLock { $0.forget(pod.uid) }
      return PodObjects()
    }
    let keys = Set(references.objects.map { $0.key(in: pod.namespace) })
    var objects = PodObjects()
    var missing: [(PodObjects.Reference, PodObjectCache.Ticket)] = []
    cache.withLock { cache in
      cache.use(keys, by: pod.uid)
      let time = ContinuousClock.now
      for reference in scope == .volumes ? references.volumeObjects : references.objects {
        let key = reference.key(in: pod.namespace)
        if let known = cache.known(key, at: time) {
          objects.put(known, for: reference)
        } else {
          missing.append((reference, cache.ticket(key)))
        }
      }
    }
    if missing.isEmpty, references.tokens.isEmpty { return objects }
    try await withThrowingTaskGroup(of: Gathered.self) { group in
      for (reference, ticket) in missing {
        group.addTask { .object(reference, try await self.fetch(reference, in: pod.namespace, ticket, client)) }
      }
      for request in references.tokens { group.addTask { .token(request, try await tokens.token(request)) } }
      for try await gathered in group {
        switch gathered {
        case .object(let reference, let content): objects.put(content, for: reference)
        case .token(let request, let token): objects.put(token, for: request)
        }
      }
    }
    return objects
  }

  /// Another number stands for changes of what the pod refers to.
  func revision(of podUID: String) -> Int { cache.withLock { $0.revision(of: podUID) } }

  /// When a token of that pod is to be renewed; nil if it has none.
  func nextRefresh(of podUID: String) -> ContinuousClock.Instant? { tokens?.nextRefresh(of: podUID) }

  /// The pod has ended: what only it referred to isn't needed any more.
  func forget(podUID: String) {
    cache.withLock { $0.forget(podUID) }
    tokens?.forget(podUID: podUID)
  }

  /// How many objects are known by name.
  var count: Int { cache.withLock { $0.count } }

  private func fetch(
    _ reference: PodObjects.Reference, in namespace: String, _ ticket: PodObjectCache.Ticket, _ client: MetadataClient
  ) async throws -> Result<ObjectContent, ObjectAbsence> {
    let key = reference.key(in: namespace)
    let result: Result<ObjectContent, ObjectAbsence>
    do {
      let json = try await client.get(key, deadline: deadline)
      result = .success(try ObjectContent(reference.kind, named: reference.name, json: json))
    } catch {
      try Task.checkCancellation()
      result = .failure(ObjectAbsence(error))
    }
    return cache.withLock { $0.settle(key, ticket, result, at: .now) }
  }

  // MARK: Following the store

  /// Follows changes until the task is cancelled. Without a cloud it returns at once.
  ///
  /// - Parameter wake: is told the UIDs of pods that something changed for.
  func run(wake: @escaping @Sendable (String) async -> Void) async {
    guard let client else { return }
    await withDiscardingTaskGroup { group in
      group.addTask { await self.followObjects(client, wake) }
      group.addTask { await self.followConnection(client, wake) }
    }
  }

  private func followObjects(_ client: MetadataClient, _ wake: @Sendable (String) async -> Void) async {
    do {
      let watch = try client.watch(PodObjects.Kind.configMap.type, PodObjects.Kind.secret.type)
      defer { watch.end() }
      for pod in cache.withLock({ $0.beginWatch() }) { await wake(pod) }
      defer { cache.withLock { $0.endWatch() } }
      for await change in watch {
        guard let reference = PodObjects.Reference(change.key), cache.withLock({ $0.isUsed(change.key) }) else { continue }
        let content =
          change.kind == .stored ? try? ObjectContent(reference.kind, named: reference.name, json: change.object) : nil
        for pod in cache.withLock({ $0.change(change.key, to: content) }) { await wake(pod) }
      }
    } catch {
      logger.error("config maps and secrets can't be watched; pods see changes when they start", metadata: ["error": "\(error)"])
    }
  }

  private func followConnection(_ client: MetadataClient, _ wake: @Sendable (String) async -> Void) async {
    do {
      let changes = try client.connectionChanges()
      defer { changes.end() }
      for await change in changes where change == .connected {
        let waiting = tokens?.connected() ?? []
        for pod in cache.withLock({ $0.connected(waiting) }) { await wake(pod) }
      }
    } catch {
      logger.error("the connection to the cloud can't be watched", metadata: ["error": "\(error)"])
    }
  }
}

extension PodObjects.Reference {
  func key(in namespace: String) -> ObjectKey { ObjectKey(namespace: namespace, type: kind.type, name: name) }

  /// Nil for other types.
  init?(_ key: ObjectKey) {
    guard let kind = [PodObjects.Kind.configMap, .secret].first(where: { $0.type == key.type }) else { return nil }
    self.init(kind: kind, name: key.name)
  }
}
