import Glibc
import YAML

/// The join token inside a configuration file.
enum ConfigurationToken {
  private static let keys = ["modules", "edgehub", "token"]

  /// The tokens in the documents of a file, the last one counts; nil if there is none, or the file can't be read.
  static func token(in path: String) -> String? {
    guard let bytes = (try? DurableFile.read(path)) ?? nil else { return nil }
    return places(in: bytes).last?.token
  }

  /// Takes the tokens out of a file; every other byte stays.
  ///
  /// - Returns: whether there was something to take out.
  /// - Throws: `CertificateError.file`.
  static func blank(in path: String) throws(CertificateError) -> Bool {
    guard let bytes = try DurableFile.read(path) else { return false }
    guard let blanked = try blanked(bytes, path: path) else { return false }
    var target = path
    // A link stays a link.
    if let real = realpath(path, nil) {
      target = String(cString: real)
      free(real)
    }
    try DurableFile.replace(target, blanked, mode: 0o640)
    return true
  }

  /// The text without its tokens; nil if it has none.
  static func blanked(_ bytes: [UInt8], path: String) throws(CertificateError) -> [UInt8]? {
    let found = places(in: bytes)
    guard !found.isEmpty else { return nil }
    var result = bytes
    // From the back, so that places before stay where they are.
    for place in found.reversed() {
      guard let range = range(of: place.token, line: place.line, in: result) else {
        throw .file("can't find the token's place in \(path); please take it out by hand")
      }
      result.replaceSubrange(range, with: Array("\"\"".utf8))
    }
    guard places(in: result).isEmpty, documents(result).map(withoutToken) == documents(bytes).map(withoutToken) else {
      throw .file("can't take the token out of \(path) without changing more; please do it by hand")
    }
    return result
  }

  private struct Place {
    var token: String
    /// Counted from 1.
    var line: Int
  }

  private static func documents(_ bytes: [UInt8]) -> [YAMLDocument] { (try? YAML.documents(bytes)) ?? [] }

  private static func places(in bytes: [UInt8]) -> [Place] {
    documents(bytes).compactMap { document in
      guard let path = path(in: document.value), let line = document.line(of: path) else { return nil }
      var value: JSONValue? = document.value
      for case .key(let key) in path { value = value?[key] }
      guard let token = value?.string, !token.isEmpty else { return nil }
      return Place(token: token, line: line)
    }
  }

  /// Keys count whatever their case.
  private static func path(in value: JSONValue) -> [PathComponent]? {
    var path: [PathComponent] = []
    var value = value
    for key in keys {
      guard let member = value.object?.first(where: { $0.key.lowercased() == key }) else { return nil }
      path.append(.key(member.key))
      value = member.value
    }
    return path
  }

  private static func withoutToken(_ document: YAMLDocument) -> JSONValue {
    guard let path = path(in: document.value) else { return document.value }
    func clearing(_ value: JSONValue, _ path: ArraySlice<PathComponent>) -> JSONValue {
      guard case .key(let key)? = path.first, let inner = value[key] else { return .string("") }
      var value = value
      value[key] = clearing(inner, path.dropFirst())
      return value
    }
    return clearing(document.value, path[...])
  }

  /// Where the value is, with its quotes: the first time the token stands there from its key's line on.
  private static func range(of token: String, line: Int, in bytes: [UInt8]) -> Range<Int>? {
    var start = 0
    for _ in 1..<max(line, 1) {
      guard let end = bytes[start...].firstIndex(of: 0x0A) else { return nil }
      start = end + 1
    }
    let token = Array(token.utf8)
    guard bytes.count - token.count >= start,
      var lower = (start...bytes.count - token.count).first(where: { bytes[$0..<$0 + token.count].elementsEqual(token) })
    else { return nil }
    var upper = lower + token.count
    if lower > start, upper < bytes.count, bytes[lower - 1] == bytes[upper], [0x22, 0x27].contains(bytes[upper]) {
      lower -= 1
      upper += 1
    }
    return lower..<upper
  }
}
