import Foundation

/// The agent's program, as it is shipped.
struct AgentProgram {
  let path: String

  /// The folder of the agent's package.
  static var root: String {
    URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().path
  }

  /// - Parameter path: nil builds it.
  static func find(_ path: String?) async throws -> AgentProgram {
    if let path { return AgentProgram(path: URL(fileURLWithPath: path).path) }
    progress("building the agent (the first time takes some minutes)")
    let build = #"cd "$0" && . hack/lib/packages.sh && swift build "${release_flags[@]}" --product edgecore"#
    try await ChildProgram.run("bash", ["-euc", build, root])
    return AgentProgram(path: root + "/.build/release/edgecore")
  }

  func reportSize(into report: inout Report) async throws {
    let stripped = "/tmp/edgecore-bench-stripped-\(getpid())"
    defer { unlink(stripped) }
    try await ChildProgram.run("strip", ["-o", stripped, path])
    var info = stat()
    guard stat(stripped, &info) == 0 else { throw Failure("no \(stripped)") }
    let size = Double(info.st_size) / 1e6
    report.add("Size of the stripped program", "\(size.text(1)) MB", bar: "≤ 40 MB", isMet: size <= 40)
  }
}
