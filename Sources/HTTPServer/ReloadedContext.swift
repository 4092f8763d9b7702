import Glibc
import NIOSSL
import Synchronization

/// A TLS context that is made of files, and made anew once one of them was replaced.
public final class ReloadedContext<Failure: Error>: Sendable {
  private struct Version: Equatable {
    var inode: ino_t
    var size: off_t
    var changed: timespec

    static func == (one: Version, other: Version) -> Bool {
      one.inode == other.inode && one.size == other.size && one.changed.tv_sec == other.changed.tv_sec
        && one.changed.tv_nsec == other.changed.tv_nsec
    }
  }

  private let files: [String]
  private let load: @Sendable () throws(Failure) -> NIOSSLContext
  private let loaded = Mutex<(context: NIOSSLContext, versions: [Version?])?>(nil)

  public init(files: [String], load: @escaping @Sendable () throws(Failure) -> NIOSSLContext) {
    self.files = files
    self.load = load
  }

  /// The context as the files are now.
  public func context() throws(Failure) -> NIOSSLContext {
    try loaded.withLock { loaded throws(Failure) in
      let versions = files.map(Self.version)
      if let loaded, loaded.versions == versions { return loaded.context }
      let context = try load()
      loaded = (context, versions)
      return context
    }
  }

  private static func version(of file: String) -> Version? {
    var info = stat()
    guard stat(file, &info) == 0 else { return nil }
    return Version(inode: info.st_ino, size: info.st_size, changed: info.st_ctim)
  }
}
