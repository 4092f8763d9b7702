import CLinux
import Glibc

/// Ends what runs in some groups and removes them. Blocks, so it belongs on a thread of its own.
struct CgroupRemoval {
  /// The same group in each hierarchy.
  var groups: [CgroupDirectory]
  /// On CLOCK_MONOTONIC, in milliseconds.
  private let deadline: Int64

  init(groups: [CgroupDirectory], timeout: Duration) {
    self.groups = groups
    self.deadline = Self.now() + timeout.components.seconds * 1000 + timeout.components.attoseconds / 1_000_000_000_000_000
  }

  /// Kills the processes, waits for their end and removes the directories, children first. Groups that are gone are no error.
  func run() throws(CgroupError) {
    try endProcesses()
    for group in groups { try remove(group) }
  }

  func endProcesses() throws(CgroupError) {
    while true {
      let directories = groups.flatMap { $0.tree() }
      let pids = try processes(in: directories)
      if pids.isEmpty { return }
      guard remaining > 0 else { throw busy(pids) }

      for directory in directories where directory.has("cgroup.kill") { try? directory.write("1", to: "cgroup.kill") }
      // A descriptor names a process for good, while its number may pass on to another process: signal only what is
      // still in the group after it was opened.
      var descriptors: [Int32: Int32] = [:]
      for pid in pids {
        let descriptor = pidfd_open(pid, 0)
        if descriptor >= 0 { descriptors[pid] = descriptor }
      }
      defer { for descriptor in descriptors.values { close(descriptor) } }
      for pid in try processes(in: directories) {
        if let descriptor = descriptors[pid] { _ = pidfd_send_signal(descriptor, SIGKILL, nil, 0) }
      }
      // A frozen process dies only when it is thawed.
      for directory in directories where directory.has("freezer.state") { try? directory.write("THAWED", to: "freezer.state") }
      if descriptors.isEmpty { pause(milliseconds: 10) } else { waitForEnd(of: Array(descriptors.values)) }
    }
  }

  /// Returns when each has ended, or when the time is over.
  private func waitForEnd(of descriptors: [Int32]) {
    var waiting = descriptors.map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
    while !waiting.isEmpty, remaining > 0 {
      let count = poll(&waiting, nfds_t(waiting.count), Int32(clamping: remaining))
      guard count > 0 || (count < 0 && errno == EINTR) else { return }
      waiting.removeAll { $0.revents != 0 }
    }
  }

  private func remove(_ group: CgroupDirectory) throws(CgroupError) {
    var wait: Int64 = 1
    while true {
      var busyCode: Int32 = 0
      for directory in group.tree() where rmdir(directory.path) != 0 {
        let code = errno
        switch code {
        case ENOENT: continue
        case EBUSY, ENOTEMPTY: busyCode = code
        default: throw CgroupError.system(operation: "rmdir", path: directory.path, code: code)
        }
      }
      if busyCode == 0 { return }
      // The kernel takes a process out of its group a moment after it has reported its end, and tells nobody.
      let left = try processes(in: group.tree())
      guard remaining > 0 else { throw busy(left) }
      if left.isEmpty { pause(milliseconds: wait) } else { try endProcesses() }
      wait = min(wait * 2, 100)
    }
  }

  private func processes(in directories: [CgroupDirectory]) throws(CgroupError) -> Set<Int32> {
    var pids: Set<Int32> = []
    // 0 stands for processes of an outer PID namespace, which can't be reached from here.
    for directory in directories { pids.formUnion(try directory.processes().filter { $0 > 0 }) }
    return pids
  }

  private func busy(_ pids: some Sequence<Int32>) -> CgroupError {
    .busy(path: groups.first?.path ?? "", processes: pids.sorted())
  }

  private var remaining: Int64 { deadline - Self.now() }

  private func pause(milliseconds: Int64) {
    var time = timespec(tv_sec: 0, tv_nsec: Int(milliseconds) * 1_000_000)
    nanosleep(&time, nil)
  }

  private static func now() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }
}
