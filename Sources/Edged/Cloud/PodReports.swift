import Core
import KubernetesAPI
import Logging
import Synchronization
import YAML

/// Tells the cloud how pods are and when they have ended, in that order, the newest status only.
///
/// From here on a report is in the hands of the metadata store, which keeps it until the cloud has it.
final class PodReports: Sendable {
  /// Who a pod is in the cloud.
  struct Subject: Sendable, Hashable {
    var namespace: String
    var name: String
    var uid: String
  }

  private enum Report: Sendable {
    case status(String)
    case end(Subject)
  }

  private struct State {
    /// By the UID that the pod has on the node.
    var subjects: [String: Subject] = [:]
    var queued: Set<String> = []
    /// The last patch of each pod.
    var told: [String: [UInt8]] = [:]
    var ended: Set<String> = []
  }

  private let client: MetadataClient
  private let statuses: StatusStore
  private let logger: Logger
  private let state = Mutex(State())
  private let reports: AsyncStream<Report>
  private let report: AsyncStream<Report>.Continuation

  init(client: MetadataClient, statuses: StatusStore, logger: Logger) {
    self.client = client
    self.statuses = statuses
    self.logger = logger
    (reports, report) = AsyncStream.makeStream()
  }

  // MARK: Whom to report

  /// From now on the pod's status is reported.
  /// - Parameters:
  ///   - uid: the pod's UID on the node.
  ///   - told: the status that the cloud has, or will have; it isn't reported again.
  func follow(_ uid: String, as subject: Subject, told: PodStatus?) {
    let patch = told.flatMap { try? PodStatusPatch.bytes($0, uid: subject.uid) }
    state.withLock { state in
      let isNew = state.subjects.updateValue(subject, forKey: uid) != subject
      if isNew { state.told[uid] = patch }
    }
    statusChanged(of: uid)
  }

  func forget(_ uid: String) {
    state.withLock { state in
      state.subjects[uid] = nil
      state.told[uid] = nil
      state.ended.remove(uid)
    }
  }

  // MARK: What there is to report

  func statusChanged(of uid: String) {
    let isNew = state.withLock { state in state.subjects[uid] != nil && state.queued.insert(uid).inserted }
    if isNew { report.yield(.status(uid)) }
  }

  /// Nothing is left of a pod that was to be deleted.
  func ended(_ pod: Pod) {
    let subject = state.withLock { state -> Subject? in
      guard let subject = state.subjects[pod.uid], state.ended.insert(pod.uid).inserted else { return nil }
      return subject
    }
    guard let subject else { return }
    statusChanged(of: pod.uid)
    report.yield(.end(subject))
  }

  /// The pod as the cloud knows it shall go.
  func delete(_ subject: Subject) { report.yield(.end(subject)) }

  /// Hands reports over until it is cancelled.
  func run() async {
    for await report in reports {
      do {
        switch report {
        case .status(let uid): try await tellStatus(of: uid)
        case .end(let subject):
          let options = #"{"gracePeriodSeconds":0,"preconditions":{"uid":"\#(subject.uid)"}}"#
          try await client.owe(podDeletion: Array(options.utf8), namespace: subject.namespace, name: subject.name)
        }
      } catch is CancellationError {
        return
      } catch {
        logger.warning("a report to the cloud was lost", metadata: ["error": "\(error)"])
      }
    }
  }

  private func tellStatus(of uid: String) async throws {
    let (subject, told) = state.withLock { state in
      state.queued.remove(uid)
      return (state.subjects[uid], state.told[uid])
    }
    guard let subject, let status = statuses.status(of: uid) else { return }
    let patch = try PodStatusPatch.bytes(status, uid: subject.uid)
    guard patch != told else { return }
    state.withLock { $0.told[uid] = patch }
    try await client.owe(podPatch: patch, namespace: subject.namespace, name: subject.name)
  }
}

extension PodReports.Subject {
  init(_ pod: Pod) { self.init(namespace: pod.namespace, name: pod.name, uid: pod.uid) }
}
