import Core
import KubernetesAPI
import Logging
import YAML

/// Shows the cloud the static pods: for each a pod object with the same content, which the node keeps as it should be.
///
/// A mirror that is deleted, or of an older manifest, is replaced; deleting one never stops the static pod.
actor MirrorPods {
  static let annotation = "kubernetes.io/config.mirror"

  private struct Mirror {
    var uid: String
    var hash: String
    var isBeingDeleted: Bool
  }

  private let client: MetadataClient
  private let reports: PodReports
  private let logger: Logger
  /// Static pods by `namespace/name`.
  private var wished: [String: WishedPod] = [:]
  private var mirrors: [String: Mirror] = [:]
  private var hasBegun = false
  private let wakeups: AsyncStream<Void>
  private let wakeup: AsyncStream<Void>.Continuation

  init(client: MetadataClient, reports: PodReports, logger: Logger) {
    self.client = client
    self.reports = reports
    self.logger = logger
    (wakeups, wakeup) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
  }

  // MARK: What others tell it

  /// The static pods that there are now.
  func wish(for pods: [WishedPod]) {
    let new = Dictionary(pods.map { ($0.pod.fullName, $0) }) { first, _ in first }
    for (name, old) in wished where new[name]?.pod.uid != old.pod.uid { reports.forget(old.pod.uid) }
    wished = new
    wakeup.yield()
  }

  /// Takes a pod of the cloud's if it is a mirror.
  func take(_ pod: Pod) -> Bool {
    guard let hash = pod.metadata.annotations?[Self.annotation] else { return false }
    mirrors[pod.fullName] = Mirror(uid: pod.uid, hash: hash, isBeingDeleted: pod.isBeingDeleted)
    wakeup.yield()
    return true
  }

  func removed(namespace: String, name: String, uid: String?) {
    let fullName = "\(namespace)/\(name)"
    guard let mirror = mirrors[fullName], uid == nil || uid == mirror.uid else { return }
    mirrors[fullName] = nil
    wakeup.yield()
  }

  /// All of the cloud's pods have been shown.
  func begin() {
    hasBegun = true
    wakeup.yield()
  }

  // MARK: Keeping them

  /// Keeps the mirrors as they should be until it is cancelled.
  func run() async {
    guard let connections = try? client.connectionChanges() else { return }
    await withDiscardingTaskGroup { tasks in
      tasks.addTask {
        for await connection in connections where connection == .connected { await self.wake() }
      }
      for await _ in wakeups where hasBegun { await keep() }
      tasks.cancelAll()
    }
    connections.end()
  }

  private func wake() { wakeup.yield() }

  private func keep() async {
    for (name, mirror) in mirrors {
      let wish = wished[name]
      if let wish, wish.pod.uid == mirror.hash, !mirror.isBeingDeleted {
        let subject = PodReports.Subject(namespace: wish.pod.namespace, name: wish.pod.name, uid: mirror.uid)
        reports.follow(wish.pod.uid, as: subject, told: nil)
        continue
      }
      // It goes at once; the cloud's word that it is gone brings the new one.
      let parts = name.split(separator: "/", maxSplits: 1).map(String.init)
      reports.delete(PodReports.Subject(namespace: parts.first ?? "", name: parts.last ?? "", uid: mirror.uid))
    }
    for (name, wish) in wished where mirrors[name] == nil { await make(wish) }
  }

  private func make(_ wish: WishedPod) async {
    do {
      let key = ObjectKey(namespace: wish.pod.namespace, type: "pod", name: wish.pod.name)
      let made: Pod = try JSONValue(json: try await client.create(key, try object(for: wish))).decode()
      _ = take(made)
    } catch let error as MetadataError where error.kind == .offline || error.kind == .timeout {
      // The next connection wakes it.
    } catch let error as MetadataError where error.kind == .alreadyExists {
      // The cloud is about to tell of it.
    } catch {
      logger.warning("a static pod can't be shown to the cloud", metadata: ["pod": "\(wish.pod.fullName)", "error": "\(error)"])
    }
  }

  /// The static pod as an object of the cloud's, owned by the node.
  private func object(for wish: WishedPod) throws -> [UInt8] {
    var pod = wish.pod
    pod.metadata.uid = nil
    pod.metadata.annotations?[Self.annotation] = wish.pod.uid
    pod.status = nil
    return try JSONValue(json: wish.raw).overlaid(with: try JSONValue(encoding: pod)).without(["metadata", "uid"]).jsonBytes()
  }
}

extension JSONValue {
  fileprivate func without(_ path: [String]) -> JSONValue {
    guard let key = path.first, let member = self[key] else { return self }
    var value = self
    value[key] = path.count == 1 ? nil : member.without(Array(path.dropFirst()))
    return value
  }
}
