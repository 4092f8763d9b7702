import FoundationEssentials

/// A seccomp profile as files hold it: `LinuxSeccomp` of the OCI runtime specification, with Docker's additions.
struct OCISeccompProfile: Decodable, Sendable {
  var defaultAction: String
  var defaultErrnoRet: UInt32?
  /// `SCMP_ARCH_X86_64`, …; the host's own when absent.
  var architectures: [String]?
  /// Docker's form of `architectures`.
  var archMap: [Architecture]?
  var flags: [String]?
  var listenerPath: String?
  var syscalls: [Rule]?

  struct Architecture: Decodable, Sendable {
    var architecture: String
    var subArchitectures: [String]?
  }

  struct Rule: Decodable, Sendable {
    var names: [String]?
    /// One name, as old profiles of Docker's have it.
    var name: String?
    var action: String
    var errnoRet: UInt32?
    var args: [Argument]?

    var allNames: [String] { (names ?? []) + [name].compactMap { $0?.isEmpty == false ? $0 : nil } }
  }

  struct Argument: Decodable, Sendable {
    /// 0…5
    var index: UInt32
    var value: UInt64
    var valueTwo: UInt64?
    var op: String
  }
}
