/// How labels and annotations of a sandbox or container are kept as labels of its Docker container.
enum DockerLabel {
  /// `podsandbox` or `container`. What lacks it is not ours and is never listed or touched.
  static let type = "io.kubernetes.docker.type"
  static let sandboxID = "io.kubernetes.sandbox.id"
  /// Where the container's log has to appear.
  static let logPath = "io.kubernetes.container.logpath"
  static let annotationPrefix = "annotation."

  enum Kind: String, Sendable {
    case sandbox = "podsandbox"
    case container = "container"
  }

  static func encode(labels: [String: String], annotations: [String: String], kind: Kind) -> [String: String] {
    var all = labels
    for (name, value) in annotations { all[annotationPrefix + name] = value }
    all[type] = kind.rawValue
    return all
  }

  /// Splits them again, without the labels that are only the engine's business.
  static func decode(_ all: [String: String]) -> (labels: [String: String], annotations: [String: String]) {
    var labels: [String: String] = [:]
    var annotations: [String: String] = [:]
    for (name, value) in all where name != type && name != sandboxID && name != logPath {
      if name.hasPrefix(annotationPrefix) {
        annotations[String(name.dropFirst(annotationPrefix.count))] = value
      } else {
        labels[name] = value
      }
    }
    return (labels, annotations)
  }
}
