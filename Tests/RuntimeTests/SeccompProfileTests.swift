import Glibc
import Testing

@testable import Runtime

struct SeccompProfileTests {
  private func problems(_ json: String) -> [String] {
    do {
      try SeccompProfileCheck.check(Array(json.utf8), path: "/p/profile.json")
      return []
    } catch {
      #expect(error.path == "/p/profile.json")
      return error.problems
    }
  }

  @Test(arguments: [
    #"{"defaultAction": "SCMP_ACT_LOG"}"#,
    #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}"#,
    #"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"], "syscalls": [{"names": ["read", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"}]}"#,
    #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5}, {"names": ["chmod"], "action": "SCMP_ACT_KILL_PROCESS"}, {"names": ["chown"], "action": "SCMP_ACT_TRACE"}]}"#,
    #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295, "op": "SCMP_CMP_EQ"}]}, {"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]}"#,
    #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]}"#,
    #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO"}]}"#,
    #"{"defaultAction": "SCMP_ACT_ERRNO", "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}], "syscalls": [{"name": "read", "action": "SCMP_ACT_ALLOW", "args": []}], "flags": ["SECCOMP_FILTER_FLAG_LOG"], "comment": "x"}"#,
  ])
  func good(json: String) { #expect(problems(json) == []) }

  @Test(arguments: [
    (#"{"defaultAction": "SCMP_ACT_DENY"}"#, "defaultAction: unknown action SCMP_ACT_DENY"),
    (#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "defaultAction can't be SCMP_ACT_NOTIFY"),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_Z80"]}"#,
      "architectures[1]: unknown architecture SCMP_ARCH_Z80"
    ),
    (#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["x86_64"]}"#, "architectures[0]: unknown architecture x86_64"),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_LOG"}, {"names": ["opne", "mkdri", "read"], "action": "SCMP_ACT_ERRNO"}]}"#,
      "syscalls[1].names: unknown system calls: opne, mkdri"
    ),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}"#,
      "syscalls[0].names: names no system call"
    ),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "ERRNO"}]}"#,
      "syscalls[0].action: unknown action ERRNO"
    ),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}]}]}"#,
      "syscalls[0].args[0].index: 6 is not 0 to 5"
    ),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "args": [{"index": 0, "value": 1, "op": "EQ"}]}]}"#,
      "syscalls[0].args[0].op: unknown comparison EQ"
    ),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["write"], "action": "SCMP_ACT_NOTIFY"}]}"#,
      "syscalls[0]: SCMP_ACT_NOTIFY can't be used for write"
    ),
    (#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["FAST"]}"#, "flags[0]: unknown flag FAST"),
    (#"{"syscalls": []}"#, "defaultAction is missing"),
    (
      #"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": "read", "action": "SCMP_ACT_ERRNO"}]}"#,
      "syscalls[0].names has the wrong type"
    ),
    ("{", "the profile"), ("", "the profile"), ("[]", "the profile has the wrong type"),
  ])
  func bad(json: String, start: String) throws {
    let problems = problems(json)
    #expect(problems.count == 1)
    #expect(try #require(problems.first).hasPrefix(start), "\(problems)")
  }

  @Test func everyProblemIsTold() {
    let json = #"{"defaultAction": "A", "architectures": ["B"], "syscalls": [{"names": ["c"], "action": "D"}]}"#
    #expect(problems(json).count == 4)
  }

  @Test func callsOfOthersAreSkipped() throws {
    #if arch(x86_64)
      let foreign = "riscv_flush_icache"
    #else
      let foreign = "arch_prctl"
    #endif
    let json =
      #"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read", "\#(foreign)", "mseal"], "action": "SCMP_ACT_ALLOW"}]}"#
    let report = try SeccompProfileCheck.check(Array(json.utf8), path: "p")
    #expect(report.skippedSyscalls.contains(foreign))
    #expect(!report.skippedSyscalls.contains("read"))
  }

  @Test func namesTheFile() throws {
    let missing = #expect(throws: SeccompProfileError.self) { try SeccompProfileCheck.check(path: "/nowhere/p.json") }
    #expect(missing?.description == "seccomp profile /nowhere/p.json: can't open: No such file or directory")
    let directory = #expect(throws: SeccompProfileError.self) { try SeccompProfileCheck.check(path: "/tmp") }
    #expect(directory?.description == "seccomp profile /tmp: can't read: Is a directory")
    let endless = #expect(throws: SeccompProfileError.self) { try SeccompProfileCheck.check(path: "/dev/zero") }
    #expect(endless?.problems == ["is larger than \(SeccompProfileCheck.maximumSize) bytes"])
  }

  @Test func readsAFile() throws {
    var template = Array("/tmp/edgecore-seccomp-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    try #require(descriptor >= 0)
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer { unlink(path) }
    let json = #"{"defaultAction": "SCMP_ACT_LOG"}"#
    #expect(write(descriptor, json, json.utf8.count) == json.utf8.count)
    close(descriptor)
    #expect(try SeccompProfileCheck.check(path: path).skippedSyscalls == [])
  }
}
