/// What of `/proc` and `/sys` containers can't see or change.
enum ProcMount {
  private static let masked = [
    "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
    "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
  ]
  private static let readonly = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

  /// - Parameters:
  ///   - type: `Default` (also nil) or `Unmasked`.
  ///   - thermalThrottle: The host's paths of that name, one for each processor that has it.
  static func maskedPaths(_ type: String?, thermalThrottle: [String]) -> [String] {
    type == "Unmasked" ? [] : masked + thermalThrottle
  }

  static func readonlyPaths(_ type: String?) -> [String] { type == "Unmasked" ? [] : readonly }
}
