import KubernetesAPI

/// What a device or its mapper says of the device as a whole.
enum DeviceState {
  /// Whether a state says that the device is well; nil for words that are no state.
  static func isGood(_ state: String) -> Bool? {
    switch state.lowercased() {
    case "online", "ok": true
    case "offline", "unknown", "unhealthy": false
    default: nil
    }
  }
}

/// Times as messages have them.
enum RFC3339 {
  /// Whole seconds in UTC: `2026-11-21T08:29:29Z`.
  static func text(milliseconds: Int64) -> String { Timestamp(seconds: milliseconds / 1000).rfc3339(fractionDigits: 0) }
}
