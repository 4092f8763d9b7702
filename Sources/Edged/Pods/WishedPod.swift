import KubernetesAPI
import YAML

/// Who wishes for pods.
enum PodSource: Sendable, Hashable {
  /// Manifests on the node: static pods.
  case manifests
  case cloud
}

/// A pod as it is wished: what the agent reads of it, and the object as it came.
struct WishedPod: Sendable {
  var pod: Pod
  /// JSON in UTF-8.
  var raw: [UInt8]
  var source: PodSource

  init(pod: Pod, raw: [UInt8], source: PodSource) {
    self.pod = pod
    self.raw = raw
    self.source = source
  }
}

extension Pod {
  /// Whether somebody asked for another pod than before. What the node itself reports comes back from the cloud with each of its objects
  /// and is no wish.
  func isSameWish(as other: Pod) -> Bool {
    func wish(_ pod: Pod) -> Pod {
      var pod = pod
      pod.status = nil
      pod.metadata.resourceVersion = nil
      return pod
    }
    return wish(self) == wish(other)
  }

  /// The cloud wants it to end.
  var isBeingDeleted: Bool { metadata.deletionTimestamp != nil }
}
