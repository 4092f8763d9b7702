import Core
import KubernetesAPI
import Logging
import Synchronization
import YAML

/// Tells the cloud how pods are and when they have ended, in that order, the newest status only.
///
/// From here on a report is in the hands of the metadata store, which keeps it until the cloud has it.
///
/// That a pod's containers are being made is only told of pods that take long: most are running before anybody could read it, and each
/// report is work for the whole control plane.
final class PodReports: Sendable {
  /// How long a pod may take to start until that is told.
  private static let usualStart: Duration = .seconds(5)

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
    /// Pods of whose containers the cloud has not heard, and whether their time to start runs.
    var fresh: [String: Bool] = [:]
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
      guard isNew else { return }
      state.told[uid] = patch
      if told?.containerStatuses?.isEmpty ?? true { state.fresh[uid] = false }
    }
    statusChanged(of: uid)
  }

  func forget(_ uid: String) {
    state.withLock { state in
      state.subjects[uid] = nil
      state.told[uid] = nil
      state.fresh[uid] = nil
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
    await withDiscardingTaskGroup { tasks in
      for await report in reports {
        do {
          switch report {
          case .status(let uid):
            switch start(of: uid) {
            case .begins:
              tasks.addTask {
                try? await Task.sleep(for: Self.usualStart, tolerance: .seconds(1))
                self.state.withLock { $0.fresh[uid] = nil }
                self.statusChanged(of: uid)
              }
            case .goesOn: break
            case .isOver: try await tellStatus(of: uid)
            }
          case .end(let subject):
            let options = #"{"gracePeriodSeconds":0,"preconditions":{"uid":"\#(subject.uid)"}}"#
            try await client.owe(podDeletion: Array(options.utf8), namespace: subject.namespace, name: subject.name)
          }
        } catch is CancellationError {
          break
        } catch {
          logger.warning("a report to the cloud was lost", metadata: ["error": "\(error)"])
        }
      }
      tasks.cancelAll()
    }
  }

  private enum Start {
    case begins, goesOn, isOver
  }

  /// How far a pod is whose status has changed, as long as it may be that it starts like most.
  private func start(of uid: String) -> Start {
    guard let isBeingStarted = statuses.status(of: uid)?.isBeingStarted else { return .isOver }
    return state.withLock { state in
      guard let isTimed = state.fresh[uid], isBeingStarted else {
        if !isBeingStarted { state.fresh[uid] = nil }
        return .isOver
      }
      state.queued.remove(uid)
      state.fresh[uid] = true
      return isTimed ? .goesOn : .begins
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

extension PodStatus {
  /// Nothing of it runs, and nothing has gone wrong.
  fileprivate var isBeingStarted: Bool {
    guard phase == .pending, reason == nil else { return false }
    let all = [initContainerStatuses, containerStatuses, ephemeralContainerStatuses].flatMap { $0 ?? [] }
    return all.allSatisfy { ["ContainerCreating", "PodInitializing"].contains($0.state?.waiting?.reason) }
  }
}

extension PodReports.Subject {
  init(_ pod: Pod) { self.init(namespace: pod.namespace, name: pod.name, uid: pod.uid) }
}
