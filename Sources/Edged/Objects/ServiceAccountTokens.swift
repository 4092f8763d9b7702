import Core
import KubernetesAPI
import Logging
import Synchronization
import YAML

/// The tokens of service accounts that pods of this node have as files, renewed in time.
///
/// A token that can't be renewed is used on: a pod does better with an old one than with none.
final class ServiceAccountTokens: Sendable {
  /// What makes two tokens the same.
  struct Request: Sendable, Hashable {
    var namespace: String
    var serviceAccount: String
    var audiences: [String]
    /// Asked for; the answer may live longer or shorter.
    var expirationSeconds: Int64
    var podName: String
    var podUID: String

    init(_ source: ServiceAccountTokenProjection, of pod: Pod) {
      namespace = pod.namespace
      let name = pod.spec.serviceAccountName ?? ""
      serviceAccount = name.isEmpty ? "default" : name
      audiences = [source.audience].compactMap { $0 }.filter { !$0.isEmpty }
      expirationSeconds = source.expirationSeconds ?? 3600
      podName = pod.name
      podUID = pod.uid
    }

    var tokenRequest: TokenRequest {
      TokenRequest(
        spec: TokenRequestSpec(
          audiences: audiences.isEmpty ? nil : audiences, expirationSeconds: expirationSeconds,
          boundObjectRef: BoundObjectReference(kind: "Pod", apiVersion: "v1", name: podName, uid: podUID)))
    }
  }

  private struct Kept {
    var token: ServiceAccountToken?
    /// However due the token is, it is not asked for again before.
    var notBefore: ContinuousClock.Instant
    /// How often in a row no better token could be had.
    var failures = 0

    /// When the token is to be asked for again, unless the wall clock is set meanwhile.
    func due(at now: Moment) -> ContinuousClock.Instant { max(notBefore, token.map { now.instant(of: $0.refreshAt) } ?? notBefore) }
  }

  private static let longestJitter = 10.0

  private let client: MetadataClient
  private let deadline: Duration
  private let logger: Logger
  private let now: @Sendable () -> Moment
  private let jitter: @Sendable () -> Duration
  private let kept = Mutex<[Request: Kept]>([:])

  /// - Parameter jitter: how much earlier than needed a token is renewed.
  init(
    client: MetadataClient, deadline: Duration, logger: Logger, now: @escaping @Sendable () -> Moment = { .now },
    jitter: @escaping @Sendable () -> Duration = { .seconds(Double.random(in: 0...longestJitter)) }
  ) {
    self.client = client
    self.deadline = deadline
    self.logger = logger
    self.now = now
    self.jitter = jitter
  }

  /// The token, fetched or renewed if need be.
  ///
  /// - Throws: `CancellationError`.
  func token(_ request: Request) async throws -> Result<ServiceAccountToken, ObjectAbsence> {
    let before = kept.withLock { $0[request] }
    let now = now()
    if let before, let token = before.token, now.instant < before.due(at: now) { return .success(token) }
    let failures = (before?.failures ?? 0) + 1
    var next = Kept(token: before?.token, notBefore: now.instant + Self.delay(failures), failures: failures)
    do throws(ObjectAbsence) {
      let token = try await fetch(request)
      next.token = token
      // A token that is due again at once, because a clock is wrong perhaps, is no reason for haste.
      if token.refreshAt > now.wall {
        next.notBefore = now.instant
        next.failures = 0
      }
      keep(next, for: request)
      return .success(token)
    } catch {
      try Task.checkCancellation()
      keep(next, for: request)
      guard let token = before?.token else { return .failure(error) }
      if failures == 1 {
        logger.warning(
          "renewing a token failed; the old one is used on",
          metadata: [
            "serviceAccount": "\(request.namespace)/\(request.serviceAccount)", "pod": "\(request.namespace)/\(request.podName)",
            "expires": "\(token.expiresAt)", "error": "\(error.reason)",
          ])
      }
      return .success(token)
    }
  }

  /// When a token of that pod is to be renewed next, unless the wall clock is set meanwhile; nil if it has none.
  func nextRefresh(of podUID: String) -> ContinuousClock.Instant? {
    let now = now()
    return kept.withLock { kept in kept.filter { $0.key.podUID == podUID && $0.value.token != nil }.map { $0.value.due(at: now) }.min() }
  }

  func forget(podUID: String) {
    kept.withLock { kept in kept = kept.filter { $0.key.podUID != podUID } }
  }

  /// The cloud is back: what failed while it was away is tried again at the next look.
  /// - Returns: the UIDs of the pods that wait for a token.
  func connected() -> Set<String> {
    kept.withLock { kept in
      var pods: Set<String> = []
      for (request, value) in kept where value.failures > 0 {
        kept[request]?.notBefore = now().instant
        pods.insert(request.podUID)
      }
      return pods
    }
  }

  private func keep(_ value: Kept, for request: Request) { kept.withLock { $0[request] = value } }

  /// 30 s, 1 min, 2 min, 4 min, and then every 5 min.
  private static func delay(_ failures: Int) -> Duration { min(.seconds(30 << min(failures - 1, 4)), .seconds(300)) }

  private func fetch(_ request: Request) async throws(ObjectAbsence) -> ServiceAccountToken {
    do {
      let asked = try JSONValue(encoding: request.tokenRequest).jsonBytes()
      let bytes = try await client.token(
        namespace: request.namespace, serviceAccount: request.serviceAccount, tokenRequest: asked, deadline: deadline)
      let answer = try JSONValue(json: bytes).decode(TokenRequest.self)
      guard let status = answer.status, !status.token.isEmpty else { throw ObjectAbsence.unknown("the answer has no token") }
      return ServiceAccountToken(status, lifetime: answer.spec.expirationSeconds ?? request.expirationSeconds, jitter: jitter())
    } catch let error as MetadataError {
      // Whatever it is that wasn't found: it is not the token, which comes to be by asking.
      throw .unknown(error.message)
    } catch {
      throw ObjectAbsence(error)
    }
  }
}
