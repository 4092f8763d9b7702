import KubernetesAPI
import Runtime

/// `exec`: a command in the container that exits with 0 is a success; one that takes too long is a failure.
struct ExecProber: Sendable {
  let run: CommandRunner

  func attempt(_ action: ExecAction, in container: Container, id: String, limit: Duration) async -> ProbeOutcome {
    let command = (action.command ?? []).map { Self.expand($0, env: container.env ?? []) }
    do {
      // The engine keeps the time; ours is for an engine that doesn't answer.
      let run = run
      let result = try await withTimeLimit(limit + .seconds(1)) { try await run(id, command, limit) }
      let output = Self.output(of: result)
      return result.exitCode == 0 ? .success(output) : .failure(output)
    } catch is TimeLimitExceeded {
      return .failure(Self.timedOut(limit))
    } catch let error as RuntimeError where error.code == .deadlineExceeded {
      return .failure(Self.timedOut(limit))
    } catch {
      return .unknown("\(error)")
    }
  }

  private static func timedOut(_ limit: Duration) -> String { "command timed out after \(limit.formattedSeconds)" }

  private static func output(of result: ExecResult) -> String {
    let limit = ProbeOutcome.outputLimit
    let stdout = result.stdout.prefix(limit)
    return String(decoding: stdout + result.stderr.prefix(limit - stdout.count), as: UTF8.self)
  }

  /// Replaces `$(NAME)` by the value that the container's definition gives literally. `$$` is a dollar sign, and names without
  /// such a value stay as they are.
  static func expand(_ text: String, env: [EnvVar]) -> String {
    guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
    var expanded = ""
    var rest = Substring(text)
    while let dollar = rest.firstIndex(of: "$") {
      expanded += rest[..<dollar]
      rest = rest[dollar...].dropFirst()
      if rest.first == "$" {
        expanded += "$"
        rest = rest.dropFirst()
      } else if rest.first == "(", let end = rest.firstIndex(of: ")") {
        let name = rest[..<end].dropFirst()
        expanded += env.last { $0.name == name }.map { $0.value ?? "" } ?? "$(\(name))"
        rest = rest[end...].dropFirst()
      } else {
        expanded += "$"
      }
    }
    return expanded + rest
  }
}
