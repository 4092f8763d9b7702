import CLinux
import Glibc
import Synchronization

/// Ends the wait of a thread that polls.
final class WakeSignal: Sendable {
  let descriptor: Int32
  private let isSet = Atomic(false)

  init() throws {
    descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
    guard descriptor >= 0 else { throw MQTTError("can't make an event descriptor: \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  func wake() {
    if isSet.exchange(true, ordering: .acquiringAndReleasing) { return }
    var one: UInt64 = 1
    _ = write(descriptor, &one, 8)
  }

  /// To be called before looking for what there is to do.
  func clear() {
    guard isSet.load(ordering: .acquiring) else { return }
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
    isSet.store(false, ordering: .releasing)
  }
}
