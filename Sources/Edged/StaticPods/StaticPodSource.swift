import CLinux
import Glibc

/// The pods that manifests on this node ask for, and their changes.
///
/// One thread sleeps until inotify tells of a change. Besides, it compares what `stat` says of the files every 20 s: changes
/// of files behind symbolic links and on some network file systems are told by nobody.
public final class StaticPodSource: Sendable {
  private let path: String
  private let nodeName: String
  private let checkInterval: Duration
  private let removalDelay: Duration

  /// - Parameters:
  ///   - path: a directory, whose files are read without those of directories in it, or one file; it needs not exist.
  ///   - nodeName: becomes part of the names of the pods.
  ///   - checkInterval: between looks at the files without an event; `fileCheckFrequency`.
  ///   - removalDelay: how long a file must be gone until its pods are.
  public init(path: String, nodeName: String, checkInterval: Duration = .seconds(20), removalDelay: Duration = .seconds(1)) {
    var path = path
    while path.utf8.count > 1, path.last == "/" { path.removeLast() }
    self.path = path
    self.nodeName = nodeName
    self.checkInterval = checkInterval
    self.removalDelay = removalDelay
  }

  /// What the manifests say: at once, even if there are none, and again whenever it changes. Who reads slowly gets the newest.
  /// The watching ends with the stream.
  public func snapshots() -> AsyncStream<StaticPodSnapshot> {
    AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
      let stop: StopSignal
      do throws(FileError) {
        stop = try StopSignal()
        continuation.onTermination = { _ in stop.send() }
        if let error = OwnThread.start("static-pods", { [self] in watch(until: stop, continuation) }) { throw error }
      } catch {
        fail(error, continuation)
      }
    }
  }

  private func fail(_ error: FileError, _ continuation: AsyncStream<StaticPodSnapshot>.Continuation) {
    let problem = ManifestProblem(file: path, line: nil, podName: nil, field: nil, message: "can't be watched: \(error)")
    continuation.yield(StaticPodSnapshot(pods: [], problems: [problem]))
    continuation.finish()
  }

  private func watch(until stop: StopSignal, _ continuation: AsyncStream<StaticPodSnapshot>.Continuation) {
    var folder = ManifestFolder(path: path, nodeName: nodeName, removalDelay: removalDelay)
    var watch: ManifestWatch
    do throws(FileError) {
      watch = try ManifestWatch(path)
    } catch {
      return fail(error, continuation)
    }
    var told: StaticPodSnapshot?
    var changed: Set<String> = []
    var unfinished: Set<String> = []
    while true {
      watch.renew()
      folder.refresh(changed: changed, unfinished: unfinished, now: .now)
      changed = []
      let snapshot = folder.snapshot
      if snapshot != told {
        told = snapshot
        continuation.yield(snapshot)
      }
      var changes: ManifestWatch.Changes?
      repeat {
        switch wait(watch.descriptor, stop, until: folder.nextRemoval) {
        case .stopped: return
        case .readable: changes = watch.read()
        // Who has had a file open for writing that long isn't about to finish it.
        case .timedOut:
          unfinished = []
          changes = .init()
        }
        // Otherwise something else happened in a directory that is watched for one name only.
      } while changes == nil
      changed = changes?.finished ?? []
      unfinished.subtract(changed)
      unfinished.formUnion(changes?.unfinished ?? [])
    }
  }

  private enum Wake { case readable, timedOut, stopped }

  private func wait(_ descriptor: Int32, _ stop: StopSignal, until removal: ContinuousClock.Instant?) -> Wake {
    let interval = min(checkInterval, removal.map { max(.zero, $0 - .now) } ?? checkInterval)
    let milliseconds = interval.components.seconds * 1000 + interval.components.attoseconds / 1_000_000_000_000_000 + 1
    var files = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0), pollfd(fd: stop.descriptor, events: Int16(POLLIN), revents: 0),
    ]
    let count = poll(&files, 2, Int32(clamping: milliseconds))
    if files[1].revents != 0 { return .stopped }
    return count > 0 ? .readable : .timedOut
  }
}

/// Wakes a thread that waits in poll, for good.
private final class StopSignal: Sendable {
  let descriptor: Int32

  init() throws(FileError) {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC))
    guard descriptor >= 0 else { throw .last("create", "eventfd") }
  }

  deinit { close(descriptor) }

  func send() { eventfd_write(descriptor, 1) }
}
