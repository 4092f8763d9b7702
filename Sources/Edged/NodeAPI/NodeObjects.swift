import Core
import HTTPServer
import KubernetesAPI
import YAML

/// Lists of pods, and the settings in effect.
struct NodeObjects: Sendable {
  let configuration: EdgedConfiguration
  let node: @Sendable () throws -> EdgedNode

  /// All pods of the node, wished for or ending, with their status: nothing of an object is lost.
  func pods() async throws -> ServerResponse {
    let items = try await node().pods.all.map { try $0.object() }
    return .json(Self.list(items).jsonBytes())
  }

  /// What runs in the engine, as far as it says.
  func runningPods() async throws -> ServerResponse {
    let records = try await node().view.all.sorted { ($0.namespace, $0.name, $0.uid) < ($1.namespace, $1.name, $1.uid) }
    let items = try records.compactMap { record -> JSONValue? in
      let running = record.runningContainers
      guard !running.isEmpty else { return nil }
      let containers = running.reversed().map { Container(name: $0.name, image: $0.image) }
      let pod = Pod(
        metadata: ObjectMeta(name: record.name, namespace: record.namespace, uid: record.uid), spec: PodSpec(containers: containers))
      return try JSONValue(encoding: pod)
    }
    return .json(Self.list(items).jsonBytes())
  }

  func settings() throws -> ServerResponse {
    let values = try JSONValue(encoding: configuration.tailoredKubeletConfig)
    return .json(JSONValue.object([.init("kubeletconfig", values)]).jsonBytes())
  }

  private static func list(_ items: [JSONValue]) -> JSONValue {
    .object([
      .init("kind", .string("PodList")), .init("apiVersion", .string("v1")), .init("metadata", .object([])), .init("items", .array(items)),
    ])
  }
}
