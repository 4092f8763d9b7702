import Glibc
import Synchronization

/// Runs an actor on a thread of its own, for actors whose work blocks: no thread of the shared pool waits for a disk.
///
/// The thread ends when the executor is released, that is with the actor.
public final class ThreadExecutor: SerialExecutor {
  private let queue: Queue

  /// - Parameter name: of the thread, as the system's tools show it.
  /// - Throws: `ThreadError`.
  public init(_ name: String, stackSize: Int = 512 << 10) throws(ThreadError) {
    let queue = Queue()
    try OperatingSystemThread.start(name, stackSize: stackSize) { queue.run() }
    self.queue = queue
  }

  deinit { queue.add(nil) }

  public func enqueue(_ job: consuming ExecutorJob) {
    queue.add((UnownedJob(job), asUnownedSerialExecutor()))
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// What waits for the thread; nil ends it.
  private final class Queue: Sendable {
    typealias Work = (job: UnownedJob, executor: UnownedSerialExecutor)

    private let works = Mutex<[Work?]>([])
    private nonisolated(unsafe) let count: UnsafeMutablePointer<sem_t>

    init() {
      count = .allocate(capacity: 1)
      sem_init(count, 0, 0)
    }

    deinit {
      sem_destroy(count)
      count.deallocate()
    }

    func add(_ work: Work?) {
      works.withLock { $0.append(work) }
      sem_post(count)
    }

    func run() {
      while true {
        while sem_wait(count) != 0 {}
        let works = works.withLock { works in
          defer { works = [] }
          return works
        }
        for work in works {
          guard let work else { return }
          work.job.runSynchronously(on: work.executor)
        }
      }
    }
  }
}
