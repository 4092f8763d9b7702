import Core
import HTTPServer

/// Whether the agent does its work, as the kubelet answers it on `/healthz`.
struct NodeHealth: Sendable {
  let configuration: EdgedConfiguration
  let node: @Sendable () -> EdgedNode?

  enum Check: String, CaseIterable, Sendable {
    case ping, log, syncloop
  }

  /// What a check found; nil: nothing wrong.
  typealias Finding = (check: Check, problem: String?)

  /// How long the engine may be away before the node is unwell.
  private static let patience = Duration.seconds(300)
  /// How long the table of pods may take to answer.
  private static let answerTime = Duration.seconds(10)

  var routes: [Route] {
    [Route("GET", "/healthz") { await answer(Check.allCases, $0) }]
      + Check.allCases.map { check in Route("GET", "/healthz/\(check.rawValue)") { await answer([check], $0) } }
  }

  private func answer(_ checks: [Check], _ request: ServerRequest) async -> ServerResponse {
    var results: [Finding] = []
    for check in checks { results.append((check, await problem(of: check))) }
    return Self.response(results, isVerbose: request.queryValue("verbose") != nil)
  }

  static func response(_ results: [Finding], isVerbose: Bool) -> ServerResponse {
    let problems = results.compactMap(\.problem)
    if problems.isEmpty, !isVerbose { return .text("ok") }
    if results.count == 1, let problem = problems.first { return .text("internal server error: \(problem)\n", status: 500) }
    let lines = results.map { $0.problem == nil ? "[+]\($0.check.rawValue) ok\n" : "[-]\($0.check.rawValue) failed: reason withheld\n" }
    return .text(
      lines.joined() + "healthz check \(problems.isEmpty ? "passed" : "failed")\n", status: problems.isEmpty ? 200 : 500)
  }

  private func problem(of check: Check) async -> String? {
    // Whoever can answer at all is there, and writes its log.
    guard check == .syncloop, let node = node() else { return nil }
    do {
      let since = try await withTimeLimit(Self.answerTime) {
        _ = await node.pods.knowsAllWishes
        return await node.view.disconnectedSince
      }
      let limit = max(Self.patience, configuration.tailoredKubeletConfig.syncFrequency.duration * 2)
      if let since, since + limit < .now { return "the container engine has been away for more than \(limit)" }
      return nil
    } catch {
      return "pods are not looked after: \(error)"
    }
  }
}
