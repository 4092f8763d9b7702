import FoundationEssentials
import Glibc

/// Pods that can be found without asking the agent or the engine: each incarnation has a mark of its own, which its process carries, and
/// into whose file each start writes a line.
struct MarkedPods: Sendable {
  let run: String
  let directory: String

  init(run: String, below directory: String) throws {
    self.run = run
    self.directory = directory + "/starts"
    try FileManager.default.createDirectory(atPath: self.directory, withIntermediateDirectories: true)
  }

  func script(_ mark: String) -> String { "MARK=\(run)-\(mark).; cat /proc/uptime >>/starts/\(mark); \(Manifest.sleeper)" }

  static let mount = "volumeMounts: [{name: starts, mountPath: /starts}]"

  func volume(_ more: String = "") -> String {
    "volumes:\n- {name: starts, hostPath: {path: \(directory), type: Directory}}\n\(more)"
  }

  /// The marks of all processes of this run's pods, one entry for each process.
  var running: [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.compactMap { pid_t($0) }.compactMap { pid in
      let words = (text(of: "/proc/\(pid)/cmdline") ?? "").split(separator: "\0")
      // The engine's shims carry no scripts; the container's first process is a shell.
      guard words.first == "sh", let script = words.dropFirst(2).first, script.hasPrefix("MARK=\(run)-") else { return nil }
      return String(script.dropFirst("MARK=\(run)-".count).prefix { $0 != "." })
    }.sorted()
  }

  /// How often the pod of a mark was started.
  func starts(_ mark: String) -> Int { startTimes(mark).count }

  /// When the pod of a mark was started: seconds since the machine's start.
  func startTimes(_ mark: String) -> [String] {
    (text(of: "\(directory)/\(mark)") ?? "").trimmingLines().map { String($0.prefix { $0 != " " }) }
  }
}

/// The same numbers again for the same seed.
struct SeededRandom: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> UInt64 {
    // splitmix64
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
