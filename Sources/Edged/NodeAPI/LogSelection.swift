import HTTPServer
import KubernetesAPI

/// Which instance of a container a request for logs is about.
enum LogSelection {
  /// The instance's id with its scheme, as the pod's status has it.
  /// - Throws: `ServerError` 400 when there is nothing to read (yet), in the kubelet's words.
  static func containerID(_ container: String, of pod: Pod, previous: Bool) throws(ServerError) -> String {
    let place = "container \"\(container)\" in pod \"\(pod.name)\""
    let status = pod.status
    let lists = [status?.containerStatuses, status?.initContainerStatuses, status?.ephemeralContainerStatuses]
    guard let found = lists.lazy.compactMap({ $0 }).joined().first(where: { $0.name == container }) else {
      throw .badRequest("\(place) is not available")
    }
    let last = found.lastState?.terminated
    let lastID = last?.containerID.flatMap { $0.isEmpty ? nil : $0 }
    if previous {
      guard let lastID else { throw .badRequest("previous terminated \(place) not found") }
      return lastID
    }
    if found.state?.running != nil { return found.containerID ?? "" }
    if let terminated = found.state?.terminated {
      if let id = terminated.containerID, !id.isEmpty { return id }
      guard let lastID else { throw .badRequest("\(place) is terminated") }
      return lastID
    }
    if last != nil {
      guard let lastID else { throw .badRequest("\(place) is terminated") }
      return lastID
    }
    guard let waiting = found.state?.waiting else { throw .badRequest("\(place) is waiting to start - no logs yet") }
    let reason =
      switch waiting.reason ?? "" {
      case "ErrImagePull": "image can't be pulled"
      case "ImagePullBackOff": "trying and failing to pull image"
      case let other: other
      }
    throw .badRequest("\(place) is waiting to start: \(reason)")
  }
}
