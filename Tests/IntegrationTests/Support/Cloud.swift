import CloudSimulator
import FoundationEssentials
import Testing
import YAML

/// An agent and the cloud that it has joined, and what tests do with both.
struct Cloud: Sendable {
  let simulator: CloudSimulator
  let agent: Agent

  /// Starts a cloud and an agent, gives them to `body` when the node is registered, and ends both.
  static func with(
    _ kind: Engine.Kind = .containerd, settings: [String] = [], hasSteppedClock: Bool = false,
    configure: (inout CloudSimulator.Configuration) -> Void = { _ in }, _ body: (Cloud) async throws -> Void
  ) async throws {
    try await Engine.exclusively(kind) { engine in
      var configuration = CloudSimulator.Configuration()
      // As quick as tests want it; the order of things is the same.
      configuration.ackTimeout = .seconds(1)
      configuration.syncInterval = .milliseconds(500)
      configure(&configuration)
      let simulator = try await CloudSimulator.start(configuration)
      do {
        try await Agent.with(engine, settings: settings, cloud: simulator, hasSteppedClock: hasSteppedClock) { agent in
          try await simulator.wait(for: "Node", name: agent.node) { $0.condition("Ready") == "True" }
          try await body(Cloud(simulator: simulator, agent: agent))
        }
      } catch {
        await simulator.shutdown()
        throw error
      }
      await simulator.shutdown()
    }
  }

  // MARK: Objects

  @discardableResult
  func apply(_ yaml: String) throws -> JSONValue {
    guard let document = try YAML.documents(yaml).first else { throw Shell.Failure(description: "no document") }
    return try simulator.apply(document.value)
  }

  @discardableResult
  func applyPod(_ name: String, _ script: String = Manifest.sleeper, container: String = "", spec: String = "") throws -> JSONValue {
    try apply(Manifest.pod(name, script, container: container, spec: spec + "\nnodeName: \(agent.node)"))
  }

  @discardableResult
  func waitUntilReady(_ name: String, within limit: Duration = .seconds(60)) async throws -> JSONValue {
    do {
      return try await simulator.wait(for: "Pod", name: name, within: limit) { $0.condition("Ready") == "True" }
    } catch {
      throw Shell.Failure(description: "\(error)\n\(agent.log.suffix(4000))")
    }
  }

  func waitUntilGone(_ name: String, within limit: Duration = .seconds(60)) async throws {
    do {
      try await simulator.waitUntilGone("Pod", name: name, within: limit)
    } catch {
      throw Shell.Failure(description: "\(error)\n\(agent.log.suffix(4000))")
    }
  }

  /// The status of a pod's one container as the cloud has it.
  func container(_ pod: String) -> JSONValue? {
    simulator.get("Pod", name: pod)?["status"]?["containerStatuses"]?.array?.first
  }
}

extension JSONValue {
  /// The state of one of the object's conditions.
  func condition(_ type: String) -> String? {
    self["status"]?["conditions"]?.array?.first { $0["type"]?.string == type }?["status"]?.string
  }

  var uid: String { self["metadata"]?["uid"]?.string ?? "" }
}
