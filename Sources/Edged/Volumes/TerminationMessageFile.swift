import Glibc
import KubernetesAPI
import Runtime

/// The file that a container may leave its last words in.
public struct TerminationMessageFile: Sendable, Hashable {
  /// Bytes of a file that are read, from its end.
  public static let maximumLength = 4096
  /// What is read from the end of a log in place of an empty file.
  public static let maximumLogLines = 80
  public static let maximumLogLength = 2048
  /// Bytes all containers of one pod have together.
  public static let maximumPodLength = 12 * 1024
  public static let defaultContainerPath = "/dev/termination-log"

  public let hostPath: String
  public let containerPath: String

  /// Makes a new, empty file for one start of a container, writable for whomever the container runs as.
  public static func create(for container: Container, podUID: String, paths: NodePaths) throws(FileError) -> TerminationMessageFile {
    let directory = paths.containerDirectory(container.name, podUID: podUID)
    try FileSystem.makeDirectories(directory, mode: 0o750)
    let path = directory + "/" + FileSystem.randomHex(digits: 8)
    try FileSystem.create(path, [], mode: 0o666)
    let containerPath = container.terminationMessagePath ?? ""
    return TerminationMessageFile(hostPath: path, containerPath: containerPath.isEmpty ? defaultContainerPath : containerPath)
  }

  public var mount: CRIMount {
    var mount = CRIMount()
    mount.hostPath = hostPath
    mount.containerPath = containerPath
    return mount
  }

  /// What an ended container has to say.
  /// - Parameters:
  ///   - hostPath: the file on the node; nil if the container has none.
  ///   - logTail: reads the end of the container's log: at most that many lines and bytes. Called only where the policy
  ///     wants it: `FallbackToLogsOnError`, an exit code other than 0, and a file that is empty or missing.
  public static func message(
    at hostPath: String?, policy: TerminationMessagePolicy?, exitCode: Int32,
    logTail: (_ lines: Int, _ bytes: Int) throws -> [UInt8]
  ) -> String {
    if let hostPath {
      do throws(FileError) {
        let text = try read(hostPath)
        if !text.isEmpty { return text }
      } catch {
        return "Error on reading termination log \(hostPath): \(error)"
      }
    }
    guard policy == .fallbackToLogsOnError, exitCode != 0 else { return "" }
    do {
      return text(try logTail(maximumLogLines, maximumLogLength).suffix(maximumLogLength))
    } catch {
      return "Error on reading termination message from logs: \(error)"
    }
  }

  /// The engine's message and the container's in one.
  public static func joined(engine: String, container: String) -> String {
    if engine.isEmpty || container.isEmpty { return engine + container }
    return engine + ": " + container
  }

  /// Cuts a message to one container's part of what its pod may say.
  /// - Parameter containerCount: all containers of the pod, init and ephemeral ones too.
  public static func limited(_ message: String, containerCount: Int) -> String {
    let limit = maximumPodLength / max(1, containerCount)
    if message.utf8.count <= limit { return message }
    var end = message.utf8.index(message.startIndex, offsetBy: limit)
    while end > message.startIndex, end.samePosition(in: message.unicodeScalars) == nil { end = message.utf8.index(before: end) }
    return String(message.unicodeScalars[..<end])
  }

  /// Removes the files of earlier starts of a container.
  /// - Parameter kept: host paths of files that are still read or written.
  public static func removeOld(
    container: String, podUID: String, paths: NodePaths, keeping kept: Set<String>
  ) throws(FileError) {
    let directory = paths.containerDirectory(container, podUID: podUID)
    for name in try FileSystem.list(directory) where !kept.contains(directory + "/" + name) {
      try FileSystem.remove(directory + "/" + name)
    }
  }

  private static func read(_ path: String) throws(FileError) -> String {
    do throws(FileError) {
      let file = try OpenFile(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
      let status = try file.status()
      guard status.kind == .file else { return "" }
      return text(try file.read(from: max(0, status.size - Int64(maximumLength)), limit: maximumLength)[...])
    } catch  where error.code == ENOENT {
      return ""
    }
  }

  /// The bytes as text, without a character that the cut left only the end of.
  private static func text(_ bytes: ArraySlice<UInt8>) -> String {
    let rest = bytes.prefix(3).prefix { $0 & 0xC0 == 0x80 }
    return String(decoding: bytes.dropFirst(rest.count), as: UTF8.self)
  }
}
