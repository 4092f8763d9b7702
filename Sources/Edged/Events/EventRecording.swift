import KubernetesAPI

public enum EventType: String, Sendable {
  case normal = "Normal"
  case warning = "Warning"
}

/// Takes events about pods. Recording never waits and never fails.
public protocol EventRecording: Sendable {
  /// - Parameter fieldPath: `spec.containers{name}`, `spec.initContainers{name}` or nil for the pod itself.
  func record(_ pod: Pod, fieldPath: String?, _ type: EventType, reason: String, message: String)
}
