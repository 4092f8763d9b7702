import ArgumentParser
import Curl
import Foundation
import Runtime

/// A container engine of this program's own.
final class Engine: Sendable {
  enum Kind: String, ExpressibleByArgument, CaseIterable, Sendable {
    case containerd, docker
  }

  static let image = "docker.io/library/busybox:1.36"

  let kind: Kind
  let directory: String
  let runtime: any ContainerRuntime
  var endpoint: String { "unix://" + runtime.endpoint }

  private init(_ kind: Kind, _ directory: String) {
    self.kind = kind
    self.directory = directory
    let socket = "\(directory)/\(kind.rawValue).sock"
    runtime =
      switch kind {
      case .containerd: CRIRuntime(socketPath: socket, http: HTTPClient())
      case .docker: DockerRuntime(socketPath: socket, http: HTTPClient(), requestTimeout: .seconds(120))
      }
  }

  private static var script: String { AgentProgram.root + "/hack/engine.sh" }

  /// Starts an engine, gives it to `body`, and removes it with all its containers.
  static func with<Value>(_ kind: Kind, _ name: String, _ body: (Engine) async throws -> Value) async throws -> Value {
    let directory = "/tmp/edgecore-bench-\(getpid())-\(name)"
    progress("starting \(kind.rawValue) in \(directory)")
    let result: Result<Value, any Error>
    do {
      // Should this program be killed, the engine goes down by itself.
      try await ChildProgram.run(
        script, ["up", kind.rawValue, directory], environment: ["ENGINE_OWNER": String(getpid())])
      let engine = Engine(kind, directory)
      do { result = .success(try await body(engine)) } catch { result = .failure(error) }
      await engine.runtime.shutdown()
    } catch {
      result = .failure(error)
    }
    try await ChildProgram.run(script, ["down", directory])
    // What was written beside the engine: logs and files of bare pods.
    if access(directory, F_OK) == 0 { try FileManager.default.removeItem(atPath: directory) }
    return try result.get()
  }

  /// Waits until the engine has nothing of any pod.
  func waitUntilEmpty() async throws {
    _ = try await eventually("the engine is empty") {
      let sandboxes = try await runtime.listPodSandboxes(nil)
      return sandboxes.isEmpty ? true : nil
    }
  }
}
