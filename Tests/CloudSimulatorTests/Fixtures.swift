import CloudSimulator
import Core
import YAML

/// A cloud with its waits made short.
func withCloud(
  _ change: (inout CloudSimulator.Configuration) -> Void = { _ in }, _ body: (CloudSimulator) async throws -> Void
) async throws {
  var configuration = CloudSimulator.Configuration()
  configuration.ackTimeout = .milliseconds(200)
  configuration.syncInterval = .milliseconds(300)
  configuration.mountsServiceAccountTokens = false
  change(&configuration)
  let cloud = try await CloudSimulator.start(configuration)
  do {
    try await body(cloud)
  } catch {
    await cloud.shutdown()
    throw error
  }
  await cloud.shutdown()
}

/// A cloud with a node that is connected and registered.
func withNode(
  _ change: (inout CloudSimulator.Configuration) -> Void = { _ in }, _ body: (CloudSimulator, TestNode) async throws -> Void
) async throws {
  try await withCloud(change) { cloud async throws -> Void in
    let node = try await TestNode.connect(cloud, "edge-1", try await TestNode.join(cloud, "edge-1"))
    try await register(node)
    try await body(cloud, node)
    await node.close()
  }
}

func register(_ node: TestNode) async throws {
  _ = try await node.request(
    .insert, "null/node/\(node.name)",
    #"{"metadata":{"name":"\#(node.name)","labels":{"kubernetes.io/hostname":"\#(node.name)","node-role.kubernetes.io/edge":""}},"spec":{},"status":{}}"#
  )
}

func pod(_ name: String, spec: String = "") throws -> JSONValue {
  try JSONValue(
    json: #"""
      {"apiVersion":"v1","kind":"Pod","metadata":{"name":"\#(name)"},
       "spec":{\#(spec)"containers":[{"name":"main","image":"docker.io/library/busybox:1.36"}]}}
      """#)
}

func configMap(_ name: String, _ value: String) throws -> JSONValue {
  try JSONValue(json: #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"\#(name)"},"data":{"key":"\#(value)"}}"#)
}

extension JSONValue {
  func at(_ path: String...) -> JSONValue? {
    var value = self
    for key in path {
      guard let next = value[key] else { return nil }
      value = next
    }
    return value
  }

  var uid: String { at("metadata", "uid")?.string ?? "" }
  var version: String { at("metadata", "resourceVersion")?.string ?? "" }
}

extension Message {
  var json: JSONValue { (try? JSONValue(json: content)) ?? .null }
  var path: String { resource }
}
