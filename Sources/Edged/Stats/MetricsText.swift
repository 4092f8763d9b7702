import KubernetesAPI

/// Metrics in Prometheus' text format, with or without the time of each sample.
struct MetricsText {
  private(set) var text = ""

  /// Begins a metric; its samples follow.
  mutating func begin(_ name: String, _ kind: String, _ help: String) { text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n" }

  /// - Parameter time: nil: whoever reads it takes the time of reading.
  mutating func add(_ name: String, _ labels: [(String, String)] = [], _ value: String, at time: Timestamp? = nil) {
    text += name
    if !labels.isEmpty {
      text += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
    }
    text += " " + value
    if let time { text += " \(time.nanoseconds / 1_000_000)" }
    text += "\n"
  }

  /// Seconds with all nine digits that there are.
  static func seconds(nanoseconds: UInt64) -> String {
    let fraction = String(nanoseconds % 1_000_000_000)
    return "\(nanoseconds / 1_000_000_000)." + String(repeating: "0", count: 9 - fraction.count) + fraction
  }

  private static func escaped(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 == 0x22 || $0 == 0x5C || $0 == 0x0A }) else { return text }
    return text.reduce(into: "") { result, character in
      switch character {
      case "\\": result += "\\\\"
      case "\"": result += "\\\""
      case "\n": result += "\\n"
      default: result.append(character)
      }
    }
  }
}
