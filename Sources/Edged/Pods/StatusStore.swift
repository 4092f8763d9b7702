import KubernetesAPI
import Synchronization

/// The newest status of each pod on the node.
final class StatusStore: Sendable {
  private let statuses = Mutex<[String: PodStatus]>([:])

  func status(of uid: String) -> PodStatus? { statuses.withLock { $0[uid] } }

  /// Returns whether the status differs from the one before.
  @discardableResult
  func put(_ status: PodStatus, of uid: String) -> Bool {
    statuses.withLock { statuses in
      if statuses[uid] == status { return false }
      statuses[uid] = status
      return true
    }
  }

  func remove(_ uid: String) { statuses.withLock { $0[uid] = nil } }
}
