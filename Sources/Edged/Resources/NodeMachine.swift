import CLinux
import Glibc

/// Facts that the kernel tells about the machine.
enum NodeMachine {
  struct Failure: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String
  }

  static func read(_ path: String) throws(Failure) -> String {
    let bytes: [UInt8]?
    do { bytes = try FileSystem.read(path, limit: 1 << 20) } catch { throw Failure(description: "\(error)") }
    guard let bytes else { throw Failure(description: "\(path) does not exist") }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Bytes.
  static func memoryTotal(meminfo: String) throws(Failure) -> Int64 {
    for line in meminfo.split(separator: "\n") where line.hasPrefix("MemTotal:") {
      if let kilobytes = line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap({ Int64($0) }) { return kilobytes * 1024 }
    }
    throw Failure(description: "/proc/meminfo has no line MemTotal")
  }

  /// The processors that are switched on, whether or not the agent may use them all.
  static func cores(proc: String, sys: String) throws(Failure) -> Int64 {
    if let list = try? read(sys + "/devices/system/cpu/online") {
      let online = processors(in: list)
      if !online.isEmpty { return Int64(online.count) }
    }
    let lines = try read(proc + "/cpuinfo").split(separator: "\n")
    let count = lines.count { $0.hasPrefix("processor") }
    guard count > 0 else { throw Failure(description: "\(proc)/cpuinfo lists no processor") }
    return Int64(count)
  }

  /// The numbers in a list such as `0-3,8`.
  static func processors(in list: String) -> [Int] {
    list.split { $0 == "," || $0.isWhitespace }.flatMap { range -> [Int] in
      let ends = range.split(separator: "-").compactMap { Int($0) }
      guard let first = ends.first, let last = ends.last, first <= last, last - first < 1 << 16 else { return [] }
      return Array(first...last)
    }
  }

  /// Bytes of the file system that the path is on.
  static func fileSystemSize(_ path: String) throws(Failure) -> Int64 {
    var status = statfs()
    guard statfs(path, &status) == 0 else { throw Failure(description: "statfs \(path): \(String(cString: strerror(errno)))") }
    return Int64(clamping: UInt64(status.f_blocks) &* UInt64(clamping: status.f_frsize > 0 ? status.f_frsize : status.f_bsize))
  }

  /// Pages that are set aside, by size; sizes that the kernel offers without any page count 0.
  static func hugepages(sys: String) -> [HugepageSize: Int64] {
    var pages: [HugepageSize: Int64] = [:]
    let directory = sys + "/kernel/mm/hugepages"
    for name in names(in: directory) {
      guard let size = HugepageSize(directory: name), let count = try? read("\(directory)/\(name)/nr_hugepages") else { continue }
      pages[size] = Int64(count.prefix { $0.isNumber }) ?? 0
    }
    return pages
  }

  /// `thermal_throttle` tells one container what others do to the processors.
  static func thermalThrottlePaths(sys: String = "/sys") -> [String] {
    guard let list = try? read(sys + "/devices/system/cpu/possible") else { return [] }
    return processors(in: list).map { "\(sys)/devices/system/cpu/cpu\($0)/thermal_throttle" }.filter { access($0, F_OK) == 0 }
  }

  /// Whether the kernel accounts for swap by control group, so that it can be forbidden.
  static func swapAccounting(_ hierarchy: CgroupMounts) -> Bool {
    switch hierarchy {
    case .v1(let memory): access(memory + "/memory.memsw.limit_in_bytes", F_OK) == 0
    // The root group of v2 has no limits; any other has.
    case .v2(let unified): names(in: unified).contains { access("\(unified)/\($0)/memory.swap.max", F_OK) == 0 }
    }
  }

  enum CgroupMounts: Sendable, Hashable {
    case v1(memory: String)
    case v2(unified: String)
  }

  /// The names in a directory; none if it can't be read.
  static func names(in directory: String) -> [String] {
    (try? FileSystem.list(directory)) ?? []
  }

  /// Major and minor version of the running kernel.
  static func kernelVersion() -> KernelVersion { KernelVersion(release: kernelRelease()) }

  /// `uname -r`, e.g. `6.1.0-18-amd64`.
  static func kernelRelease() -> String { systemName(\.release) }

  /// `uname -m`, e.g. `x86_64`.
  static func hardwareName() -> String { systemName(\.machine) }

  private static func systemName<Field>(_ field: WritableKeyPath<utsname, Field>) -> String {
    var name = utsname()
    guard uname(&name) == 0 else { return "" }
    return withUnsafeBytes(of: &name[keyPath: field]) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }

  /// The node's name: as set, else the host's, in lower case.
  static func nodeName(hostnameOverride: String) throws(Failure) -> String {
    var name = hostnameOverride
    if name.isEmpty {
      var buffer = [CChar](repeating: 0, count: 256)
      guard gethostname(&buffer, buffer.count - 1) == 0 else {
        throw Failure(description: "gethostname: \(String(cString: strerror(errno)))")
      }
      name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    name = String(name.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed()).lowercased()
    guard !name.isEmpty else { throw Failure(description: "the host has no name; set hostnameOverride") }
    return name
  }
}

struct KernelVersion: Sendable, Hashable, Comparable {
  var major: Int
  var minor: Int

  init(major: Int, minor: Int) {
    self.major = major
    self.minor = minor
  }

  /// Of `uname -r`: `6.1.0-18-amd64`.
  init(release: String) {
    let numbers = release.split(separator: ".").prefix(2).map { Int($0.prefix { $0.isNumber }) ?? 0 }
    self.major = numbers.first ?? 0
    self.minor = numbers.count > 1 ? numbers[1] : 0
  }

  static func < (a: KernelVersion, b: KernelVersion) -> Bool { (a.major, a.minor) < (b.major, b.minor) }
}
