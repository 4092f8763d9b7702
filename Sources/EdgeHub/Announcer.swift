import Core

/// Tells the modules in order when the connection comes and goes, without making the connection wait for slow ones.
final class Announcer: Sendable {
  private static let groups: [ModuleGroup] = [.connection, .twin, .meta, .bus, .taskManager]

  private let channel: ChannelContext
  private let changes: AsyncStream<CloudConnection>
  private let continuation: AsyncStream<CloudConnection>.Continuation

  init(channel: ChannelContext) {
    self.channel = channel
    (changes, continuation) = AsyncStream.makeStream()
  }

  func announce(_ change: CloudConnection) { continuation.yield(change) }

  /// Announces until the task is cancelled.
  func run() async {
    for await change in changes {
      for group in Self.groups {
        // Groups without members are none.
        do { try await channel.send(change.message, toGroup: group) } catch {}
      }
    }
  }
}
