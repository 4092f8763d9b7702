import FoundationEssentials
import KubernetesAPI
import Logging
import Runtime
import Subprocess

/// A running container and where its log is.
public struct RunningLog: Sendable, Hashable {
  /// Without scheme.
  public var containerID: String
  /// `<podLogs>/<namespace>_<pod>_<uid>/<container>/<n>.log`
  public var path: String

  public init(containerID: String, path: String) {
    self.containerID = containerID
    self.path = path
  }
}

/// Keeps the logs of running containers from growing without bound.
///
/// A log that is too big is renamed to `<n>.log.<YYYYMMDD-HHMMSS>` in UTC, the engine opens a new one, and the older ones are
/// compressed. A check costs one `lstat` a container. Logs that are links belong to an engine that rotates them itself.
public actor LogRotation {
  public struct Settings: Sendable, Hashable {
    /// Bytes at which a log is rotated.
    public var maximumSize: Int64 = 10 << 20
    /// Files of a container's log, the current one and rotated ones together.
    public var maximumFiles = 5
    public var interval: Duration = .seconds(10)

    public init() {}
  }

  private let settings: Settings
  private let logger: Logger
  private let reopen: @Sendable (String) async throws -> Void
  private let compress: @Sendable (String) async throws -> Void
  private let now: @Sendable () -> Timestamp
  /// Whether the engine said that it rotates logs itself.
  public private(set) var isUnsupported = false

  /// - Parameter compress: replaces a file by a compressed one, whose name has `.gz` at its end.
  public init(
    runtime: any ContainerRuntime, settings: Settings = Settings(), logger: Logger,
    compress: @escaping @Sendable (String) async throws -> Void = LogRotation.gzip
  ) {
    self.init(
      settings: settings, logger: logger, reopen: { try await runtime.reopenContainerLog($0) }, compress: compress, now: { .now })
  }

  init(
    settings: Settings, logger: Logger, reopen: @escaping @Sendable (String) async throws -> Void,
    compress: @escaping @Sendable (String) async throws -> Void, now: @escaping @Sendable () -> Timestamp
  ) {
    self.settings = settings
    self.logger = logger
    self.reopen = reopen
    self.compress = compress
    self.now = now
  }

  /// Checks at each interval until the task is cancelled or the engine says that it rotates logs itself.
  /// - Parameter running: the containers that run now.
  public func run(_ running: @Sendable () async -> [RunningLog]) async {
    while !isUnsupported {
      do { try await Task.sleep(for: settings.interval, tolerance: settings.interval / 5) } catch { return }
      await check(await running())
    }
  }

  /// Rotates those logs that are too big, one after the other.
  public func check(_ logs: [RunningLog]) async {
    for log in logs where !isUnsupported && !Task.isCancelled {
      do {
        // Not following links: what they point to is another's to rotate.
        guard let file = try FileSystem.status(log.path, followLinks: false), file.kind == .file, file.size >= settings.maximumSize
        else { continue }
        try await rotate(log)
      } catch let error as RuntimeError where error.code == .unsupported {
        isUnsupported = true
        logger.info("the container engine rotates logs itself")
      } catch {
        logger.warning("rotating a log failed", metadata: ["log": "\(log.path)", "error": "\(error)"])
      }
    }
  }

  private func rotate(_ log: RunningLog) async throws {
    let kept = removeExcess(try LogDirectory.rotated(of: log.path))
    for path in kept where !path.hasSuffix(".gz") {
      // An uncompressed log is as good: rotation goes on.
      do { try await compress(path) } catch {
        logger.warning("compressing a rotated log failed", metadata: ["log": "\(path)", "error": "\(error)"])
      }
    }
    let rotated = "\(log.path).\(Self.stamp(now()))"
    // Two rotations within a second would overwrite the first one's file: the next check comes soon enough.
    guard try FileSystem.status(rotated) == nil, try FileSystem.status(rotated + ".gz") == nil else { return }
    try FileSystem.rename(log.path, to: rotated)
    do {
      try await reopen(log.containerID)
    } catch {
      // The engine goes on writing to the old file, which must be found under its name.
      if try FileSystem.status(log.path) == nil { try FileSystem.rename(rotated, to: log.path) }
      throw error
    }
  }

  /// Removes the eldest rotated files: the current log and the one that it becomes now leave room for two fewer.
  private func removeExcess(_ rotated: [String]) -> ArraySlice<String> {
    // What an interrupted compression left has its original beside it.
    let originals = Set(rotated)
    let halfDone = rotated.filter { $0.hasSuffix(".gz") && originals.contains(String($0.dropLast(3))) }
    let whole = rotated.filter { !halfDone.contains($0) }
    let kept = whole.suffix(max(0, settings.maximumFiles - 2))
    for path in halfDone + whole.prefix(whole.count - kept.count) {
      do { try FileSystem.remove(path) } catch {
        logger.warning("removing a rotated log failed", metadata: ["error": "\(error)"])
      }
    }
    return kept
  }

  /// `20260301-120000`
  private static func stamp(_ time: Timestamp) -> String {
    var text = time.description.filter { $0 != "-" && $0 != ":" && $0 != "Z" }
    text.replace("T", with: "-")
    return text
  }

  /// Compresses with the system's gzip.
  public static func gzip(_ path: String) async throws {
    let result = try await Subprocess.run(
      .name("gzip"), arguments: ["--force", "--", path], output: .discarded, error: .string(limit: 1024))
    guard result.terminationStatus.isSuccess else {
      throw CompressionError(description: "gzip \(path): \(result.terminationStatus): \(result.standardError)")
    }
  }
}

/// A file that could not be compressed.
private struct CompressionError: Error, CustomStringConvertible {
  let description: String
}
