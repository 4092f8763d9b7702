import Logging
import Runtime

/// Removes what pods left on the node that nobody knows any more: directories with their mounts, and control groups.
/// Such things stay behind when the agent was killed in the middle of something.
struct LeftoverCollection: Sendable {
  var operations: PodOperations
  var logger: Logger

  /// - Parameter knownPods: UIDs of pods that exist or are being taken down.
  func collect(knownPods: () async -> Set<String>) async {
    let running = Set(await operations.view.all.map(\.uid))
    let known = await knownPods().union(running)
    do {
      for uid in try operations.volumes.orphans(known: known) {
        logger.info("removing the directory of a pod that is gone", metadata: ["uid": "\(uid)"])
        try await operations.volumes.removeDirectory(uid)
      }
      for group in operations.cgroups.list() where !known.contains(group.uid) {
        logger.info("removing the control group of a pod that is gone", metadata: ["uid": "\(group.uid)"])
        try await operations.cgroups.remove(podUID: group.uid, qos: group.qos)
      }
    } catch {
      logger.warning("removing what pods left failed; trying again later", metadata: ["error": "\(error)"])
    }
  }
}
