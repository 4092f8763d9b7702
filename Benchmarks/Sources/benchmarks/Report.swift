/// The table of results.
struct Report {
  private struct Row {
    var measure: String
    var result: String
    var bar: String
  }

  private var rows: [Row] = []
  private var notes: [String] = []

  /// - Parameter isMet: Whether the result keeps to the bar; nil: there is none.
  mutating func add(_ measure: String, _ result: String, bar: String = "", isMet: Bool? = nil) {
    let verdict = isMet.map { $0 ? " (met)" : " (**missed**)" } ?? ""
    rows.append(Row(measure: measure, result: result, bar: bar + verdict))
    progress("  \(measure): \(result)\(bar.isEmpty ? "" : ", bar \(bar)\(verdict)")")
  }

  /// A line below the table.
  mutating func note(_ text: String) {
    notes.append(text)
    progress("  \(text)")
  }

  func print() {
    Swift.print("| Measure | Result | Bar |\n|---|---|---|")
    for row in rows { Swift.print("| \(row.measure) | \(row.result) | \(row.bar) |") }
    if !notes.isEmpty { Swift.print("") }
    for note in notes { Swift.print("- \(note)") }
  }
}
