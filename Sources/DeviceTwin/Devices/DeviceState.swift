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
