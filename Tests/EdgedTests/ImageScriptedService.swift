import KubernetesAPI
import Runtime
import Synchronization

@testable import Edged

/// An engine's images, scripted.
actor ImageScriptedService: ImageService {
  private(set) var calls: [String] = []
  private var images: [String: CRIImage] = [:]
  private var pullErrors: [RuntimeError] = []
  private var statusError: RuntimeError?
  private var acceptedUser: String?
  private var removeErrors: Set<String> = []
  private let gate = LogTestLatch()
  private var isHeld = false

  func add(_ reference: String, id: String, size: UInt64 = 100, pinned: Bool = false) {
    var image = CRIImage()
    image.id = id
    image.repoTags = [reference]
    image.size = size
    image.pinned = pinned
    images[reference] = image
  }

  func failPulls(_ messages: [String]) {
    pullErrors = messages.map { RuntimeError(.unknown, operation: "PullImage", message: $0) }
  }
  func failStatus(_ message: String?) {
    statusError = message.map { RuntimeError(.unavailable, operation: "ImageStatus", message: $0) }
  }
  func accept(user: String) { acceptedUser = user }
  func failRemoval(of ids: Set<String>) { removeErrors = ids }
  func holdPulls() { isHeld = true }
  func releasePulls() { gate.open() }
  func forgetCalls() { calls = [] }

  func imageStatus(_ reference: String) async throws -> CRIImage? {
    calls.append("status \(reference)")
    if let statusError { throw statusError }
    return images[reference] ?? images.values.first { $0.id == reference }
  }

  func pullImage(_ reference: String, auth: CRIAuthConfig?, sandboxConfig: CRIPodSandboxConfig?) async throws -> String {
    calls.append("pull \(reference)" + (auth.map { " as \($0.username):\($0.password)" } ?? ""))
    if isHeld {
      await gate.wait()
      try Task.checkCancellation()
    }
    if let acceptedUser, auth?.username != acceptedUser {
      throw RuntimeError(.unauthenticated, operation: "PullImage", message: "\(auth?.username ?? "nobody") is denied")
    }
    if !pullErrors.isEmpty { throw pullErrors.removeFirst() }
    add(reference, id: "sha256:" + reference, size: 1234)
    return "sha256:" + reference
  }

  func listImages() async throws -> [CRIImage] { images.values.sorted { $0.id < $1.id } }

  func removeImage(_ reference: String) async throws {
    calls.append("remove \(reference)")
    if removeErrors.contains(reference) { throw RuntimeError(.unknown, operation: "RemoveImage", message: "busy") }
    images = images.filter { $0.value.id != reference }
  }

  func imageFsInfo() async throws -> CRIImageFsInfoResponse {
    var usage = CRIFilesystemUsage()
    usage.fsID.mountpoint = "/images"
    var response = CRIImageFsInfoResponse()
    response.imageFilesystems = [usage]
    return response
  }
}

/// Keeps events as text.
final class ImageEventLog: EventRecording {
  private let recorded = Mutex<[String]>([])

  var events: [String] { recorded.withLock { $0 } }
  func clear() { recorded.withLock { $0 = [] } }

  func record(_ pod: Pod, fieldPath: String?, _ type: EventType, reason: String, message: String) {
    recorded.withLock { $0.append("\(type.rawValue) \(reason) \(message)") }
  }
}

/// A clock that a test sets.
final class ImageTestClock: Sendable {
  private let instant = Mutex(ContinuousClock.now)

  var now: ContinuousClock.Instant { instant.withLock { $0 } }
  func advance(_ duration: Duration) { instant.withLock { $0 += duration } }
}
