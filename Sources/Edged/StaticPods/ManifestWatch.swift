import CLinux
import Glibc

/// Tells through inotify what happens to a path that may be a directory, a file, or not there yet.
struct ManifestWatch: ~Copyable {
  struct Changes {
    /// Files that were written and closed, moved or removed, by name.
    var finished: Set<String> = []
    /// Files that are being written.
    var unfinished: Set<String> = []
  }

  private struct Place: Hashable {
    var directory: String
    /// The one name that matters there; nil if all do.
    var name: String?
  }

  /// Readable when something happened.
  let descriptor: Int32
  private let path: String
  private var places: [Int32: Place] = [:]

  init(_ path: String) throws(FileError) {
    self.path = path
    descriptor = inotify_init1(Int32(IN_CLOEXEC) | Int32(IN_NONBLOCK))
    guard descriptor >= 0 else { throw .last("start inotify for", path) }
  }

  deinit { close(descriptor) }

  /// Watches what is there now: the directory and its name in the one above, or the nearest directory above what is missing.
  /// To be called before each look at the files, so that nothing can happen unseen in between.
  mutating func renew() {
    var wanted: [Int32: Place] = [:]
    for place in currentPlaces() {
      var events = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF
      // Above a directory only that it comes and goes matters; files that are often written may be beside it.
      if place.name == nil || !isDirectory(path) { events |= IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB }
      let watch = inotify_add_watch(descriptor, place.directory, UInt32(events) | UInt32(IN_ONLYDIR))
      if watch >= 0, wanted[watch]?.name != nil || wanted[watch] == nil { wanted[watch] = place }
    }
    for watch in places.keys where wanted[watch] == nil { inotify_rm_watch(descriptor, watch) }
    places = wanted
  }

  private func currentPlaces() -> [Place] {
    var places: [Place] = []
    var path = path
    if isDirectory(path) { places.append(Place(directory: path, name: nil)) }
    while let parent = FileSystem.parent(of: path) {
      if isDirectory(parent) {
        places.append(Place(directory: parent, name: path.split(separator: "/").last.map(String.init)))
        break
      }
      path = parent
    }
    return places
  }

  private func isDirectory(_ path: String) -> Bool { (try? FileSystem.status(path))?.kind == .directory }

  /// Takes what happened since the last call.
  /// - Returns: nil if nothing of interest.
  func read() -> Changes? {
    var changes: Changes?
    withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 8) { buffer in
      while true {
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        if count < 0 && errno == EINTR { continue }
        guard count > 0 else { return }
        take(UnsafeRawBufferPointer(rebasing: buffer[..<count]), &changes)
      }
    }
    return changes
  }

  private func take(_ bytes: UnsafeRawBufferPointer, _ changes: inout Changes?) {
    let header = MemoryLayout<inotify_event>.size
    var offset = 0
    while offset + header <= bytes.count {
      let event = bytes.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
      let nameBytes = bytes[(offset + header)..<min(bytes.count, offset + header + Int(event.len))].prefix { $0 != 0 }
      offset += header + Int(event.len)
      let name = String(decoding: nameBytes, as: UTF8.self)
      if let place = places[event.wd], let only = place.name, !name.isEmpty, only != name { continue }
      var noted = changes ?? Changes()
      if event.mask & UInt32(IN_MODIFY) != 0 || event.mask & UInt32(IN_CREATE) != 0 && isBeingWritten(name, places[event.wd]) {
        noted.unfinished.insert(name)
        noted.finished.remove(name)
      } else if event.mask & UInt32(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) != 0 {
        noted.finished.insert(name)
        noted.unfinished.remove(name)
      }
      changes = noted
    }
  }

  /// Whether a name that appeared is a file that someone opened to write to, rather than a link: its end will be told.
  private func isBeingWritten(_ name: String, _ place: Place?) -> Bool {
    var info = stat()
    guard let place, lstat(place.directory + "/" + name, &info) == 0 else { return false }
    return info.st_mode & S_IFMT == S_IFREG && info.st_nlink == 1
  }
}
