import KubernetesAPI
import Runtime

/// An image that the engine has.
public struct PresentImage: Sendable {
  /// The image's id, which creates containers.
  public let ref: String
  public let image: CRIImage

  public init(ref: String, image: CRIImage) {
    self.ref = ref
    self.image = image
  }
}

/// Brings containers' images onto the node, by their pull policies.
public actor ImagePuller {
  public struct Settings: Sendable, Hashable {
    /// How many pulls may run at once; nil for any number.
    public var parallelPulls: Int? = 1
    /// Pulls per second, on average; 0 for any number.
    public var pullsPerSecond: Double = 5
    /// Pulls that may begin at once after a quiet time.
    public var burst: Int = 10
    public var initialBackOff: Duration = .seconds(10)
    public var maximumBackOff: Duration = .seconds(300)

    public init() {}
  }

  private let service: any ImageService
  private let events: any EventRecording
  private let nodeCredentials: NodeRegistryCredentials
  private let clock: @Sendable () -> ContinuousClock.Instant
  private let queue: PullQueue
  private var rate: PullRate
  private var backOff: PullBackOff

  public init(
    service: any ImageService, events: any EventRecording, nodeCredentials: NodeRegistryCredentials,
    settings: Settings = Settings(), clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
  ) {
    self.service = service
    self.events = events
    self.nodeCredentials = nodeCredentials
    self.clock = clock
    queue = PullQueue(limit: settings.parallelPulls)
    rate = PullRate(perSecond: settings.pullsPerSecond, burst: settings.burst)
    backOff = PullBackOff(initial: settings.initialBackOff, limit: settings.maximumBackOff)
  }

  /// How many pods wait for another pod's pull to end.
  public nonisolated var waitingPulls: Int { queue.waiting }

  /// Makes sure that the engine has the container's image; events tell what happens, errors included.
  /// - Parameters:
  ///   - fieldPath: of the container, for events: `spec.containers{name}`.
  ///   - pullSecrets: the pod's, in their order; logins of the node come after them.
  /// - Throws: `ImageError`, or `CancellationError` when the task is cancelled, which stops nobody else's pull.
  public func ensureImage(
    for container: Container, fieldPath: String?, pod: Pod, pullSecrets: [RegistryCredentials],
    sandboxConfig: CRIPodSandboxConfig?
  ) async throws -> PresentImage {
    let request = Request(
      written: container.image ?? "", policy: container.imagePullPolicy, fieldPath: fieldPath, pod: pod, secrets: pullSecrets,
      sandboxConfig: sandboxConfig)
    do {
      return try await ensure(request)
    } catch let error as ImageError {
      record(request, .warning, "Failed", "Error: \(error.reason.rawValue)")
      throw error
    }
  }

  /// Forgets what failed for a pod that is gone.
  public func forget(podUID: String) { backOff.forget(podUID: podUID) }
}

extension ImagePuller {
  private struct Request {
    /// The image as the container names it.
    let written: String
    let policy: PullPolicy?
    let fieldPath: String?
    let pod: Pod
    let secrets: [RegistryCredentials]
    let sandboxConfig: CRIPodSandboxConfig?

    var backOffKey: PullBackOff.Key { PullBackOff.Key(podUID: pod.uid, image: written) }
  }

  private func ensure(_ request: Request) async throws -> PresentImage {
    let image: ImageReference
    do {
      image = try ImageReference(request.written)
    } catch {
      let message = "Failed to apply default image tag \"\(request.written)\": \(error)"
      record(request, .warning, "InspectFailed", message)
      throw ImageError(.invalidImageName, message)
    }
    let policy = request.policy ?? (image.defaultPullPolicyIsAlways ? .always : .ifNotPresent)
    if policy != .always, let present = try await present(image, request) { return present }
    if policy == .never {
      let message = "Container image \"\(request.written)\" is not present with pull policy of Never"
      record(request, .warning, "ErrImageNeverPull", message)
      throw ImageError(.errImageNeverPull, message)
    }
    if let wait = backOff.wait(request.backOffKey, now: clock()) {
      let message = "Back-off pulling image \"\(request.written)\""
      record(request, .normal, "BackOff", message)
      throw ImageError(.imagePullBackOff, "\(message): \(wait.error)", retryAt: wait.until)
    }
    record(request, .normal, "Pulling", "Pulling image \"\(request.written)\"")
    let askedAt = clock()
    let waited = try await queue.enter()
    defer { queue.leave() }
    // Who waited most likely waited for this very image.
    if waited, policy == .ifNotPresent, let present = try await present(image, request) { return present }
    return try await pull(image, request, askedAt: askedAt)
  }

  private func present(_ image: ImageReference, _ request: Request) async throws -> PresentImage? {
    do {
      guard let found = try await service.imageStatus(image.spelled) else { return nil }
      record(request, .normal, "Pulled", "Container image \"\(request.written)\" already present on machine")
      return PresentImage(ref: found.id, image: found)
    } catch {
      try Self.rethrowCancellation(error)
      let message = "Failed to inspect image \"\(request.written)\": \(Self.text(error))"
      record(request, .warning, "InspectFailed", message)
      throw ImageError(.imageInspectError, message)
    }
  }

  private func pull(_ image: ImageReference, _ request: Request, askedAt: ContinuousClock.Instant) async throws -> PresentImage {
    let startedAt = clock()
    let id: String
    do {
      guard rate.take(now: startedAt) else { throw PullFailure(text: "pull QPS exceeded") }
      id = try await pullWithLogins(image, request)
    } catch {
      try Self.rethrowCancellation(error)
      throw failed(request, Self.text(error))
    }
    let endedAt = clock()
    var pulled = CRIImage()
    pulled.id = id
    // The image is there; not being able to describe it is no reason to pull it again.
    do {
      if let found = try await service.imageStatus(id) { pulled = found }
    } catch { try Self.rethrowCancellation(error) }
    let took = PullDuration(endedAt - startedAt)
    let tookWithWait = PullDuration(endedAt - askedAt)
    record(
      request, .normal, "Pulled",
      "Successfully pulled image \"\(request.written)\" in \(took) (\(tookWithWait) including waiting). Image size: \(pulled.size) bytes.")
    return PresentImage(ref: id, image: pulled)
  }

  /// Tries one login after the other until one pulls.
  private func pullWithLogins(_ image: ImageReference, _ request: Request) async throws -> String {
    var logins = RegistryKeyring(request.secrets).logins(for: image)
    if let ofNode = nodeCredentials.read() {
      logins += RegistryKeyring([ofNode]).logins(for: image).filter { !logins.contains($0) }
    }
    guard !logins.isEmpty else {
      return try await service.pullImage(image.spelled, auth: nil, sandboxConfig: request.sandboxConfig)
    }
    var failures: [String] = []
    for login in logins {
      var auth = CRIAuthConfig()
      auth.username = login.username
      auth.password = login.password
      do {
        return try await service.pullImage(image.spelled, auth: auth, sandboxConfig: request.sandboxConfig)
      } catch {
        try Self.rethrowCancellation(error)
        let text = Self.text(error)
        if !failures.contains(text) { failures.append(text) }
      }
    }
    throw PullFailure(text: failures.count == 1 ? failures[0] : "[" + failures.joined(separator: ", ") + "]")
  }

  private func failed(_ request: Request, _ text: String) -> ImageError {
    record(request, .warning, "Failed", "Failed to pull image \"\(request.written)\": \(text)")
    var reason = ImageError.Reason.errImagePull
    var message = text
    for (known, meaning) in [
      (ImageError.Reason.registryUnavailable, "the registry is unavailable"),
      (.signatureValidationFailed, "the signature validation failed"),
    ] where text.hasPrefix(known.rawValue) {
      reason = known
      message = "image pull failed for \(request.written) because \(meaning)\(text.dropFirst(known.rawValue.count))"
    }
    let next = backOff.fail(request.backOffKey, error: "\(reason.rawValue): \(message)", now: clock())
    return ImageError(reason, message, retryAt: next)
  }

  private func record(_ request: Request, _ type: EventType, _ reason: String, _ message: String) {
    events.record(request.pod, fieldPath: request.fieldPath, type, reason: reason, message: message)
  }

  private static func rethrowCancellation(_ error: any Error) throws {
    if error is CancellationError || Task.isCancelled { throw CancellationError() }
  }

  private static func text(_ error: any Error) -> String { (error as? RuntimeError)?.message ?? "\(error)" }
}

/// A pull that failed before or after the engine's own words.
private struct PullFailure: Error, CustomStringConvertible {
  let text: String
  var description: String { text }
}

/// A duration as pull events write it, in whole milliseconds: `15ms`, `1.2s`, `2m0.5s`.
struct PullDuration: CustomStringConvertible {
  let milliseconds: Int64

  init(_ duration: Duration) { milliseconds = max(0, duration.wholeNanoseconds / 1_000_000) }

  var description: String {
    if milliseconds == 0 { return "0s" }
    if milliseconds < 1000 { return "\(milliseconds)ms" }
    let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60)
    var text = hours > 0 ? "\(hours)h" : ""
    if hours > 0 || minutes > 0 { text += "\(minutes)m" }
    text += "\(milliseconds / 1000 % 60)"
    if milliseconds % 1000 > 0 {
      let digits = String(milliseconds % 1000)
      var fraction = String(repeating: "0", count: 3 - digits.count) + digits
      while fraction.hasSuffix("0") { fraction.removeLast() }
      text += "." + fraction
    }
    return text + "s"
  }
}
