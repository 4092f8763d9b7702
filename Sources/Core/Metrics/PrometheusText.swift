/// Prometheus' text format, version 0.0.4.
struct PrometheusText {
  private struct Family {
    var head: String
    var lines: [String] = []
  }

  private var families: [String: Family] = [:]
  private var current = ""

  /// Begins a metric; one that has begun before goes on.
  mutating func begin(_ name: String, kind: String, help: String) {
    current = name
    guard families[name] == nil else { return }
    var head = ""
    if !help.isEmpty { head += "# HELP \(name) \(Self.escaped(help, quotes: false))\n" }
    head += "# TYPE \(name) \(kind)\n"
    families[name] = Family(head: head)
  }

  mutating func add(_ name: String, labels: String, _ value: Double) {
    families[current]?.lines.append("\(name)\(labels) \(Self.number(value))\n")
  }

  mutating func add(_ name: String, labels: String, _ histogram: HistogramMetric.Snapshot, bounds: [Double]) {
    var total: UInt64 = 0
    for (bound, count) in zip(bounds + [.infinity], histogram.counts) {
      total += count
      add("\(name)_bucket", labels: Self.adding("le", Self.number(bound), to: labels), Double(total))
    }
    add("\(name)_sum", labels: labels, histogram.sum)
    add("\(name)_count", labels: labels, Double(histogram.count))
  }

  func finish() -> String {
    families.sorted { $0.key < $1.key }.map { $0.value.head + $0.value.lines.joined() }.joined()
  }

  /// A label as a metric's name: what is not allowed in one becomes an underscore.
  static func name(_ label: String) -> String { sanitized(label, colons: true) }

  private static func sanitized(_ text: String, colons: Bool) -> String {
    var name = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "a"..."z", "A"..."Z", "_": name.unicodeScalars.append(scalar)
      case ":" where colons: name.unicodeScalars.append(scalar)
      case "0"..."9":
        if name.isEmpty { name = "_" }
        name.unicodeScalars.append(scalar)
      default: name += "_"
      }
    }
    return name.isEmpty ? "_" : name
  }

  /// Dimensions as text, sorted by name: `{a="1",b="2"}`; empty without any.
  static func labels(_ dimensions: [(String, String)]) -> String {
    guard !dimensions.isEmpty else { return "" }
    let pairs = dimensions.sorted { $0.0 < $1.0 }.map { "\(sanitized($0.0, colons: false))=\"\(escaped($0.1, quotes: true))\"" }
    return "{\(pairs.joined(separator: ","))}"
  }

  private static func adding(_ name: String, _ value: String, to labels: String) -> String {
    labels.isEmpty ? "{\(name)=\"\(value)\"}" : "\(labels.dropLast()),\(name)=\"\(value)\"}"
  }

  private static func escaped(_ text: String, quotes: Bool) -> String {
    var escaped = ""
    for character in text.unicodeScalars {
      switch character {
      case "\\": escaped += "\\\\"
      case "\n": escaped += "\\n"
      case "\"" where quotes: escaped += "\\\""
      default: escaped.unicodeScalars.append(character)
      }
    }
    return escaped
  }

  static func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    if value == value.rounded(), abs(value) < 1e15 { return String(Int64(value)) }
    return "\(value)"
  }
}
