import Core
import KubernetesAPI
import Logging
import YAML

/// The pods that the cloud placed on this node: as the store has them at the start, then as they change.
struct CloudPods: Sendable {
  let client: MetadataClient
  let nodeName: String
  let pods: PodTable
  let view: RuntimeView
  let reports: PodReports
  let mirrors: MirrorPods
  let logger: Logger

  /// Follows the store until it is cancelled.
  func run() async {
    // Pods can only be adopted, or told to be orphans, once the engine has said what runs.
    await view.waitUntilListed()
    do {
      let watch = try client.watch("pod")
      defer { watch.end() }
      try await load()
      for await change in watch { await apply(change) }
    } catch is CancellationError {
    } catch {
      logger.error("the pods of the cloud can't be followed", metadata: ["error": "\(error)"])
    }
  }

  // MARK: The start

  private func load() async throws {
    let (objects, patches) = try await listed()
    // What was reported and isn't known to have arrived is newer than what the cloud has.
    let reported = Dictionary(patches.compactMap { PodStatusPatch.status(in: $0.object) }.map { ($0.uid, $0.status) }) { $1 }
    var wishes: [WishedPod] = []
    for (_, object) in objects {
      guard var wish = wish(object) else { continue }
      if let status = reported[wish.pod.uid] {
        wish.pod.status = status.withConditionsOfOthers(in: wish.pod.status)
      }
      if await mirrors.take(wish.pod) { continue }
      wishes.append(wish)
    }
    for wish in wishes { follow(wish.pod) }
    if try await isRebuilt() {
      for wish in wishes { await pods.wish(for: wish) }
      try await askForLostPods(known: Set(wishes.map(\.pod.uid)))
    } else {
      await pods.wish(for: wishes, from: .cloud)
    }
    await mirrors.begin()
    logger.info("the cloud's pods are known", metadata: ["pods": "\(wishes.count)"])
  }

  private func listed() async throws -> (objects: [MetadataClient.Listed], patches: [MetadataClient.Listed]) {
    while true {
      do {
        return (try await client.list("pod"), try await client.list("podpatch"))
      } catch let error as MetadataError {
        logger.warning("the store doesn't tell the pods; asking again in 1 s", metadata: ["error": "\(error)"])
        try await Task.sleep(for: .seconds(1))
      }
    }
  }

  // MARK: After the store was lost

  private func isRebuilt() async throws -> Bool {
    let state = try JSONValue(json: try await client.get(ObjectKey(type: "store", name: "state")))
    return state["rebuilt"]?.bool == true
  }

  /// Pods run whose description was lost with the store. The cloud doesn't list them, but it answers to a report with the whole pod.
  /// Until it was asked about each, nothing is ended.
  private func askForLostPods(known: Set<String>) async throws {
    let connections = try client.connectionChanges()
    defer { connections.end() }
    var changes = connections.makeAsyncIterator()
    var left = await view.all.filter { !known.contains($0.uid) }
    if !left.isEmpty {
      logger.warning("the store was made anew: asking the cloud for the pods that run here", metadata: ["pods": "\(left.count)"])
    }
    while !left.isEmpty {
      var again: [PodRecord] = []
      for record in left {
        let patch = #"{"metadata":{"uid":"\#(record.uid)"},"status":{}}"#
        do {
          // The store keeps the answer and tells it to those who watch.
          let pod = try await client.patch(
            ObjectKey(namespace: record.namespace, type: "podpatch", name: record.name), Array(patch.utf8))
          if let wish = wish(pod), wish.pod.uid == record.uid {
            follow(wish.pod)
            await pods.wish(for: wish)
          }
        } catch let error as MetadataError where error.kind == .notFound || error.kind == .conflict || error.kind == .refused {
          logger.info(
            "the cloud has no such pod any more", metadata: ["pod": "\(record.namespace)/\(record.name)", "uid": "\(record.uid)"])
        } catch is MetadataError {
          again.append(record)
        }
      }
      left = again
      if !left.isEmpty, await changes.next() == nil { throw CancellationError() }
    }
    _ = try await client.update(ObjectKey(type: "store", name: "state"), Array(#"{"rebuilt":false}"#.utf8))
    await pods.wish(for: await pods.wishes(of: .cloud), from: .cloud)
  }

  // MARK: Changes

  private func apply(_ change: MetadataChange) async {
    switch change.kind {
    case .stored:
      guard let wish = wish(change.object) else { return }
      if await mirrors.take(wish.pod) { return }
      follow(wish.pod)
      await pods.wish(for: wish)
    case .removed:
      let removed = try? JSONValue(json: change.object)
      let uid = removed?["metadata"]?["uid"]?.string
      await mirrors.removed(namespace: change.key.namespace, name: change.key.name, uid: uid)
      // Older clouds name no UID: then it is whatever has the name.
      let named = await pods.wishes(of: .cloud).filter { $0.pod.namespace == change.key.namespace && $0.pod.name == change.key.name }
      for wish in named where uid == nil || uid == wish.pod.uid {
        reports.forget(wish.pod.uid)
        await pods.unwish(wish.pod.uid, from: .cloud)
      }
    }
  }

  private func follow(_ pod: Pod) {
    reports.follow(pod.uid, as: PodReports.Subject(pod), told: pod.status)
  }

  private func wish(_ object: [UInt8]) -> WishedPod? {
    do {
      let pod: Pod = try JSONValue(json: object).decode()
      guard !pod.uid.isEmpty, pod.spec.nodeName ?? nodeName == nodeName else { return nil }
      return WishedPod(pod: pod, raw: object, source: .cloud)
    } catch {
      let metadata = (try? JSONValue(json: object))?["metadata"]
      logger.error(
        "a pod of the cloud can't be understood and isn't run",
        metadata: [
          "pod": "\(metadata?["namespace"]?.string ?? "")/\(metadata?["name"]?.string ?? "")", "uid": "\(metadata?["uid"]?.string ?? "")",
          "problem": "\(error)",
        ])
      return nil
    }
  }
}

extension PodStatus {
  /// This status with the conditions that others set in another one.
  fileprivate func withConditionsOfOthers(in other: PodStatus?) -> PodStatus {
    var status = self
    status.conditions = PodConditions.merge(own: conditions ?? [], others: other?.conditions ?? [])
    return status
  }
}
