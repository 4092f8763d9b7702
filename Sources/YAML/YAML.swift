/// Reads YAML 1.1 as Kubernetes' tools do, and writes block style YAML.
///
/// Scalars resolve to JSON values the way go-yaml resolves them (`yes` and `on` are true, `0x1F`, `0b1` and `017` are integers, `~` is null,
/// what is quoted is a string; dates are strings). Anchors, aliases and merge keys are supported. A key given twice is an error, and so
/// is a number that JSON can't hold (`.inf`, `.nan`).
public enum YAML {
  /// Values nested deeper than this are refused.
  public static let maximumDepth = 128
  /// How many values aliases may add to a text before it is refused ("billion laughs").
  public static let maximumAliasedValues = 100_000

  /// All documents of a text; JSON is welcome too. A text without a document (empty, only comments) yields none.
  ///
  /// - Parameters:
  ///   - text: the YAML or JSON text.
  ///   - maximumBytes: longer texts are refused.
  /// - Throws: `YAMLError` with line, column and problem.
  public static func documents(_ text: String, maximumBytes: Int = 4 << 20) throws(YAMLError) -> [YAMLDocument] {
    guard text.utf8.count <= maximumBytes else { throw tooLong(text.utf8.count, maximumBytes) }
    return try documents(Array(text.utf8), maximumBytes: maximumBytes)
  }

  /// All documents of a text in UTF-8.
  ///
  /// - Throws: `YAMLError` with line, column and problem.
  public static func documents(_ bytes: [UInt8], maximumBytes: Int = 4 << 20) throws(YAMLError) -> [YAMLDocument] {
    guard bytes.count <= maximumBytes else { throw tooLong(bytes.count, maximumBytes) }
    // JSON is nearly YAML; what YAML 1.1 readers refuse in it (surrogate pairs, tabs) makes it worth a try of its own.
    if let first = bytes.firstIndex(where: { !JSONParser.isSpace($0) }), bytes[first] == 0x7B || bytes[first] == 0x5B {
      if let value = try? JSONValue(json: bytes, duplicates: .refused, maximumDepth: maximumDepth) {
        let line = 1 + bytes[..<first].count { $0 == 0x0A }
        return [YAMLDocument(value: value, startLine: line, places: .json(bytes))]
      }
    }
    return try YAMLReader.read(bytes)
  }

  private static func tooLong(_ count: Int, _ limit: Int) -> YAMLError {
    YAMLError(line: 0, column: 0, problem: "the text has \(count) bytes; at most \(limit) are allowed")
  }
}
