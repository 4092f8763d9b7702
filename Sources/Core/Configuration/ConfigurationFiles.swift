import Glibc
import YAML

/// Finds and reads configuration files.
enum ConfigurationFiles {
  static let maximumBytes = 1 << 20

  /// One document of a file.
  struct Document {
    var path: String
    var document: YAMLDocument
  }

  /// The agent's documents of a file: those whose kind is EdgeCore or missing; of a file found by searching only those that are surely meant.
  static func documents(ofFile path: String, found: Bool) throws(ConfigurationError) -> [Document] {
    let bytes = try read(path)
    let documents: [YAMLDocument]
    do throws(YAMLError) {
      documents = try YAML.documents(bytes, maximumBytes: maximumBytes)
    } catch {
      throw ConfigurationError(error.problem, source: .file(path: path, line: error.line))
    }
    var result: [Document] = []
    for document in documents where document.value != .null {
      let kind = member("kind", of: document.value)
      if kind == .string(EdgeCoreConfiguration.kind) || LegacyKeys.hasFlatKeys(document.value) {
        result.append(Document(path: path, document: document))
      } else if !found {
        guard document.value.object != nil else {
          throw ConfigurationError("expected an object, found \(document.value.kind)", source: .file(path: path, line: document.startLine))
        }
        guard kind == nil else {
          let line = document.line(of: [.key("kind")]) ?? document.startLine
          throw ConfigurationError(
            key: "kind", "\(kind?.jsonText() ?? "") is not allowed; allowed: \(EdgeCoreConfiguration.kind)",
            source: .file(path: path, line: line))
        }
        result.append(Document(path: path, document: document))
      }
    }
    return result
  }

  private static func member(_ key: String, of value: JSONValue) -> JSONValue? {
    value.object.flatMap { ConfigurationTree.canonical(key, in: $0) }.flatMap { value[$0] }
  }

  /// All .yaml and .yml files below a directory, by name.
  static func search(_ directory: String) -> [String] {
    guard let handle = opendir(directory) else { return [] }
    defer { closedir(handle) }
    var paths: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      let path = "\(directory)/\(name)"
      var status = stat()
      guard stat(path, &status) == 0 else { continue }
      // Links to directories are followed only one way down: lstat says what the entry itself is.
      var own = stat()
      if status.st_mode & S_IFMT == S_IFDIR {
        if lstat(path, &own) == 0, own.st_mode & S_IFMT == S_IFDIR { paths += search(path) }
      } else if status.st_mode & S_IFMT == S_IFREG, name.hasSuffix(".yaml") || name.hasSuffix(".yml") {
        paths.append(path)
      }
    }
    return paths.sorted()
  }

  static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

  static func read(_ path: String) throws(ConfigurationError) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw ConfigurationError("can't open \(path): \(String(cString: strerror(errno)))") }
    defer { close(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = Glibc.read(file, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw ConfigurationError("can't read \(path): \(String(cString: strerror(errno)))") }
      if count == 0 { return bytes }
      bytes += buffer[..<count]
      guard bytes.count <= maximumBytes else {
        throw ConfigurationError("\(path) is longer than the \(maximumBytes) bytes that are allowed")
      }
    }
  }
}
