/// The files of containers' logs: `<n>.log` of the start number n, and its rotated predecessors `<n>.log.<time>[.gz]`.
public enum LogDirectory {
  /// The highest start number that left a log in a container's directory; nil if none did.
  public static func highestLogNumber(_ directory: String) -> Int? {
    let names = (try? FileSystem.list(directory)) ?? []
    return names.compactMap { name in
      guard let dot = name.firstIndex(of: ".") else { return nil }
      let suffix = name[dot...]
      guard suffix == ".log" || suffix.hasPrefix(".log.") else { return nil }
      return name[..<dot].utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(name[..<dot]) : nil
    }.max()
  }

  /// The paths of a log's rotated files, eldest first. Docker's have numbers that grow with age.
  static func rotated(of path: String) throws(FileError) -> [String] {
    guard let directory = FileSystem.parent(of: path) else { return [] }
    let prefix = path.dropFirst(directory.count).drop { $0 == "/" } + "."
    let names = try FileSystem.list(directory).filter { $0.hasPrefix(prefix) }
    func age(_ name: String) -> Int? { Int(name.dropFirst(prefix.count).prefix { $0 != "." }) }
    return names.sorted { (age($0) ?? .min, $1) > (age($1) ?? .min, $0) }.map { "\(directory)/\($0)" }
  }

  /// Removes a log and its rotated files.
  static func removeLog(_ path: String) throws(FileError) {
    for file in try rotated(of: path) + [path] { try FileSystem.remove(file) }
  }
}
