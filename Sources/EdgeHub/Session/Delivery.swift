import Core
import Logging

/// Hands what the cloud says to those it is for.
struct Delivery: Sendable {
  let channel: ChannelContext
  let status: HubStatus
  let logger: Logger

  /// Hands a message over, waiting while its receiver has no room.
  ///
  /// - Parameter answers: whether an id is that of a request that waits for its answer from this connection.
  func deliver(_ bytes: [UInt8], answers: (String) -> Bool) async {
    let message: Message
    do throws(MessageError) {
      message = try WireText.message(bytes).withoutSync
    } catch {
      return status.noteRejected(kind: Self.kind(error), logger: logger)
    }
    if !message.parentID.isEmpty, answers(message.parentID), channel.respond(with: message) { return }
    do {
      switch message.route.group {
      case "resource", "func": try await channel.send(message, to: .metaManager)
      case "twin": try await channel.send(message, toGroup: .twin)
      case "user": try await channel.send(message, toGroup: .bus)
      case "taskmanager": try await channel.send(message, toGroup: .taskManager)
      default: status.noteRejected(kind: "nobody knows the group \"\(message.route.group.prefix(32))\"", logger: logger)
      }
    } catch is CancellationError {
    } catch {
      status.noteRejected(kind: "for the group \"\(message.route.group)\": \(error)", logger: logger)
    }
  }

  /// The problem without the place where it is, which is another one each time.
  private static func kind(_ error: MessageError) -> String {
    let problem = error.problem
    guard problem.hasPrefix("byte "), let colon = problem.firstIndex(of: ":") else { return problem }
    return "it is no JSON\(problem[colon...])"
  }
}
