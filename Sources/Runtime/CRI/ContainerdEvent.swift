import SwiftProtobuf

/// What containerd's event service sends, in the runtime's words.
enum ContainerdEvent {
  /// Alternatives, each a list of conditions that must all hold. The service reports every namespace of the engine.
  static func filters(markerTopic: String) -> [String] {
    let namespace = "namespace==\(ContainerdNamespace.kubernetes)"
    return [
      #"\#(namespace),topic~="^/tasks/(start|exit|oom)$""#,
      #"\#(namespace),topic=="/containers/delete""#,
      #"\#(namespace),topic=="\#(markerTopic)""#,
    ]
  }

  /// nil for what doesn't concern a container's life: the end of a command that was run in it, above all.
  static func decode(_ envelope: ContainerdEnvelope) throws -> RuntimeEvent? {
    let bytes = envelope.event.value
    switch envelope.topic {
    case "/tasks/start":
      return .started(containerID: try ContainerdTaskStart(serializedBytes: bytes).containerID)
    case "/tasks/exit":
      let exit = try ContainerdTaskExit(serializedBytes: bytes)
      guard exit.id == exit.containerID else { return nil }
      return .exited(containerID: exit.containerID, exitCode: Int32(truncatingIfNeeded: exit.exitStatus))
    case "/tasks/oom":
      return .outOfMemory(containerID: try ContainerdTaskOOM(serializedBytes: bytes).containerID)
    case "/containers/delete":
      return .removed(containerID: try ContainerdContainerDelete(serializedBytes: bytes).id)
    default:
      return nil
    }
  }
}
