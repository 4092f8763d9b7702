import FoundationEssentials

extension DockerRuntime {
  /// The exit code of a command whose streams have ended. The process may live longer than its streams, and the engine takes note
  /// of its end a little later: then the engine's event is waited for.
  /// - Parameter since: A time before the command started.
  func exitCode(ofExec id: String, inContainer containerID: String, since: String, operation: String) async throws -> Int32 {
    if let code = try await finishedExitCode(id, operation: operation) { return code }
    let body = try await watch(
      operation, filters: ["type": ["container"], "container": [containerID], "event": ["exec_die", "die"]], since: since)
    // Its end may have fallen out of the events that the engine remembers.
    if let code = try await finishedExitCode(id, operation: operation) { return code }
    return try await api.translating(operation) {
      var lines = DockerLines()
      for try await chunk in body {
        for line in try lines.split(chunk) {
          guard let event = try? JSONDecoder().decode(DockerEvent.self, from: Data(line)) else { continue }
          let attributes = event.actor.attributes ?? [:]
          if attributes["execID"] == id, let code = attributes["exitCode"].flatMap({ Int32($0) }) { return code }
          // With the container goes the command.
          if event.action == "die" { return try await finishedExitCode(id, operation: operation) ?? 137 }
        }
      }
      throw RuntimeError(.unavailable, operation: operation, message: "the engine ended the stream of events")
    }
  }

  /// nil while the command runs.
  private func finishedExitCode(_ id: String, operation: String) async throws -> Int32? {
    let exec: DockerExec = try await api.get(operation, "/exec/\(id)/json")
    return exec.running ? nil : exec.exitCode ?? 0
  }
}
