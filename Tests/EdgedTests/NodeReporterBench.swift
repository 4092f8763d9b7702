import Core
import KubernetesAPI
import Logging
import Runtime
import Synchronization
import YAML

@testable import Edged

/// A reporter between a scripted cloud and a scripted engine, by a clock that the test moves.
final class NodeReporterBench: Sendable {
  struct Engine {
    var isUp = true
    var hasNetwork = true
    var calls: [String: Int] = [:]
  }

  /// What closures of the reporter write to.
  private final class Notes: Sendable {
    let engine = Mutex(Engine())
    let events = Mutex<[String]>([])

    func call(_ name: String) throws -> Engine {
      try engine.withLock { engine in
        engine.calls[name, default: 0] += 1
        if !engine.isUp { throw RuntimeError(.unavailable, operation: name, message: "connection refused") }
        return engine
      }
    }

    var calls: NodeEngine.Calls {
      NodeEngine.Calls(
        status: {
          let engine = try self.call("status")
          return .with { status in
            status.conditions = [
              .with {
                $0.type = "RuntimeReady"
                $0.status = true
              },
              .with {
                $0.type = "NetworkReady"
                $0.status = engine.hasNetwork
                $0.reason = "NetworkPluginNotReady"
                $0.message = "no CNI"
              },
            ]
          }
        },
        version: {
          _ = try self.call("version")
          return .with {
            $0.runtimeName = "containerd"
            $0.runtimeVersion = "1.7.2"
          }
        },
        features: {
          _ = try self.call("features")
          return .with { $0.supplementalGroupsPolicy = true }
        },
        images: {
          _ = try self.call("images")
          return [
            .with {
              $0.id = "sha256:1"
              $0.repoTags = ["registry/app:1"]
              $0.size = 7
            }
          ]
        })
    }
  }

  let clock = ProbeTestClock()
  let cloud: NodeScriptedCloud
  let reporter: NodeReporter
  private let notes: Notes
  private let tasks: [Task<Void, Never>]

  init(isOnline: Bool = true, node: JSONValue? = nil, _ change: (inout EdgedConfiguration) -> Void = { _ in }) throws {
    var configuration = EdgedConfiguration()
    change(&configuration)
    let channel = ChannelContext()
    let cloud = try NodeScriptedCloud(channel: channel)
    cloud.state.withLock { state in
      state.isOnline = isOnline
      if let node { state.store(node: node) }
    }
    let notes = Notes()
    let reporter = NodeReporter(
      client: MetadataClient(channel: channel, source: .edged), name: "edge-1", configuration: configuration, agentVersion: "1.2.0",
      sources: .init(facts: { NodeFixtures.facts }, system: { NodeFixtures.system }), engine: notes.calls,
      events: { type, reason, message in notes.events.withLock { $0.append("\(type.rawValue) \(reason): \(message)") } },
      clock: clock.probeClock, leaseJitter: { 0 }, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    self.cloud = cloud
    self.reporter = reporter
    self.notes = notes
    tasks = [Task { await cloud.run() }, Task { await reporter.run() }]
  }

  func end() async {
    for task in tasks.reversed() {
      task.cancel()
      await task.value
    }
  }

  func engine(_ change: @Sendable (inout Engine) -> Void) { notes.engine.withLock { change(&$0) } }
  func calls(_ name: String) -> Int { notes.engine.withLock { $0.calls[name] ?? 0 } }
  /// `Normal NodeReady: Node edge-1 status is now: NodeReady`
  var events: [String] { notes.events.withLock { $0 } }

  /// Waits until the status and the lease have nothing to do before their time comes.
  func settle() async { await clock.sleepers(2) }

  /// Lets time pass, to the next computation of the status and the next renewal of the lease by default.
  func advance(_ duration: Duration = .seconds(10)) async {
    clock.advance(by: duration)
    await settle()
  }

  func waitUntil(_ isSo: @Sendable () async -> Bool) async { while await !isSo() { await Task.yield() } }

  /// What the cloud has of a condition: `status reason`.
  func condition(_ type: String) throws -> String {
    let status: NodeStatus? = try cloud.state.withLock { $0.node }?["status"]?.decode()
    return status?.condition(type).map { "\($0.status) \($0.reason ?? "")" } ?? "none"
  }
}
