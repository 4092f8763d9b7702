import KubernetesAPI

/// Columns of text, each as wide as its widest cell.
struct Table {
  var header: [String]
  var rows: [[String]] = []

  init(_ header: String...) { self.header = header }

  init(header: [String]) { self.header = header }

  mutating func add(_ cells: String...) { rows.append(cells) }

  var text: String {
    let all = [header] + rows
    let widths = header.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        line += cell
        if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 3) }
      }
      return line
    }.joined(separator: "\n")
  }
}

/// How long ago: `45s`, `12m`, `3h20m`, `5d`.
func age(of time: Timestamp?, now: Timestamp = .now) -> String {
  guard let time else { return "<unknown>" }
  let seconds = max(0, now.seconds - time.seconds)
  switch seconds {
  case ..<120: return "\(seconds)s"
  case ..<7200: return "\(seconds / 60)m"
  case ..<86400: return "\(seconds / 3600)h\(seconds % 3600 / 60)m"
  default: return "\(seconds / 86400)d"
  }
}

/// `1.5Gi`, `20Mi`, `512Ki`.
func bytes(_ count: UInt64) -> String {
  for (unit, shift) in [("Gi", UInt64(30)), ("Mi", 20), ("Ki", 10)] where count >= 1 << shift {
    let tenths = (count * 10) >> shift
    return tenths % 10 == 0 || tenths >= 1000 ? "\(tenths / 10)\(unit)" : "\(tenths / 10).\(tenths % 10)\(unit)"
  }
  return "\(count)B"
}
