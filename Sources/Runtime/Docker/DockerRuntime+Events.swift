import Curl
import FoundationEssentials
import Glibc

extension DockerRuntime {
  public func events() -> AsyncThrowingStream<RuntimeEvent, any Error> {
    AsyncThrowingStream { continuation in
      let task = Task { [self] in
        do {
          let filters = [
            "type": ["container"], "event": ["start", "die", "oom", "destroy"], "label": [DockerLabel.type],
          ]
          // The engine answers before it has subscribed; what happens in between comes by asking for the past.
          let body = try await watch("Events", filters: filters, since: Self.now())
          continuation.yield(.connected)
          try await api.translating("Events") {
            var lines = DockerLines()
            for try await chunk in body {
              for line in try lines.split(chunk) {
                if let event = try Self.event(line) { continuation.yield(event) }
              }
            }
          }
          throw RuntimeError(.unavailable, operation: "Events", message: "the engine ended the stream of events")
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  func watch(_ operation: String, filters: [String: [String]], since: String) async throws -> HTTPResponseBody {
    try await api.stream(operation, "GET", "/events", query: [("since", since), ("filters", try Self.encode(filters))])
  }

  /// Seconds and nanoseconds, as the engine takes times.
  static func now() -> String {
    var clock = timespec()
    clock_gettime(CLOCK_REALTIME, &clock)
    let nanoseconds = String(clock.tv_nsec)
    return "\(clock.tv_sec).\(String(repeating: "0", count: 9 - nanoseconds.count))\(nanoseconds)"
  }

  /// nil for events of other kinds.
  static func event(_ line: [UInt8]) throws -> RuntimeEvent? {
    let event: DockerEvent
    do {
      event = try JSONDecoder().decode(DockerEvent.self, from: Data(line))
    } catch {
      throw RuntimeError(.unknown, operation: "Events", message: "the engine sent an event that can't be read: \(error)")
    }
    switch event.action {
    case "start": return .started(containerID: event.actor.id)
    case "die":
      let code = event.actor.attributes?["exitCode"].flatMap { Int32($0) } ?? -1
      return .exited(containerID: event.actor.id, exitCode: code)
    case "oom": return .outOfMemory(containerID: event.actor.id)
    case "destroy": return .removed(containerID: event.actor.id)
    default: return nil
    }
  }
}
