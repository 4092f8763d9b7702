import FoundationEssentials

/// Reads the progress of a pull, whose status says success before anything was pulled.
struct DockerPull: Sendable {
  private var lines = DockerLines()

  /// - Throws: `RuntimeError` at the first line that tells of a failure.
  mutating func read(_ bytes: [UInt8]) throws {
    for line in try lines.split(bytes) { try check(line) }
  }

  func finish() throws {
    if let last = lines.last { try check(last) }
  }

  private func check(_ line: [UInt8]) throws(RuntimeError) {
    guard let failure = (try? JSONDecoder().decode(DockerPullProgress.self, from: Data(line)))?.failure else { return }
    throw RuntimeError(Self.code(failure), operation: "PullImage", message: failure)
  }

  static func code(_ message: String) -> RuntimeError.Code {
    let text = message.lowercased()
    if text.contains("unauthorized") || text.contains("authentication required") { return .unauthenticated }
    if text.contains("denied") { return .permissionDenied }
    if text.contains("not found") || text.contains("manifest unknown") { return .notFound }
    if text.contains("no space left") { return .resourceExhausted }
    return .unknown
  }
}
