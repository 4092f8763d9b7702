import KubernetesAPI
import YAML

/// A pod from a manifest on this node, as it is to be run.
public struct StaticPod: Sendable, Hashable {
  /// With defaults, the node's name in its name, its UID, annotations and toleration.
  public var pod: Pod
  /// As it is in the file.
  public var raw: JSONValue
  /// The file's path.
  public var file: String
  /// The line of the file that the pod's document begins on, from 1.
  public var line: Int
}

/// Why a manifest, or a pod in it, isn't run as it is written.
public struct ManifestProblem: Sendable, Hashable, CustomStringConvertible {
  /// The path of the file, or of the directory if that is the trouble.
  public var file: String
  /// From 1; nil if the trouble is with the whole file.
  public var line: Int?
  /// `metadata.name` as written.
  public var podName: String?
  /// `spec.containers[0].image`
  public var field: String?
  public var message: String

  /// `web.yaml:14: spec.containers[0].volumeMounts[0].name: "data" names no volume of this pod; volumes are: cache, logs`
  public var description: String {
    let name = file.split(separator: "/").last.map(String.init) ?? file
    return "\(name)\(line.map { ":\($0)" } ?? ""): \(field.map { "\($0): " } ?? "")\(message)"
  }
}

/// All static pods of this node at one time.
public struct StaticPodSnapshot: Sendable, Hashable {
  /// In the order of their files' names, and then of the file.
  public var pods: [StaticPod]
  public var problems: [ManifestProblem]
}
