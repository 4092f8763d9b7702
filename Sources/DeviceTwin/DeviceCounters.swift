import Metrics

/// What happened to messages about devices.
struct DeviceCounters: Sendable {
  let updates = Counter(label: "edgecore_device_twin_updates_total")
  let states = Counter(label: "edgecore_device_state_updates_total")
  let refused = Counter(label: "edgecore_device_messages_refused_total")
  let storeFailures = Counter(label: "edgecore_device_store_failures_total")
}
