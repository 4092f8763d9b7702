import CMosquitto
import Glibc
import Synchronization

/// A client of an MQTT 3.1.1 broker, on a thread of its own, which connects again and again for as long as it runs.
///
/// Nobody who publishes waits: what the broker can't take yet is queued, and the oldest is dropped when too much waits. Messages wait for
/// `messages(limit:)`; when too many do, nothing more is read from the broker for a while.
public final class MQTTClient: Sendable {
  public static let libraryVersion: String = {
    var (major, minor, revision): (Int32, Int32, Int32) = (0, 0, 0)
    mosquitto_lib_version(&major, &minor, &revision)
    return "\(major).\(minor).\(revision)"
  }()

  private let loop: ClientLoop

  /// Prepares the client; `start` connects.
  ///
  /// - Parameters:
  ///   - onEvent: told what happens to the connection, on the client's thread, which waits meanwhile.
  ///   - onPublish: called on the same thread right before a publication is handed to the broker.
  /// - Throws: `MQTTError`: the files of the TLS options can't be used, the id is no text for MQTT.
  public init(
    _ options: MQTTOptions, onEvent: @escaping @Sendable (MQTTEvent) -> Void = { _ in },
    onPublish: @escaping @Sendable (MQTTPublication) -> Void = { _ in }
  ) throws {
    loop = try ClientLoop(options, onEvent: onEvent, onPublish: onPublish)
  }

  /// Starts the client's thread.
  /// - Throws: `MQTTError`.
  public func start() throws { try loop.start() }

  public var isConnected: Bool { loop.isConnected }

  /// Whether the thread has ended.
  var hasEnded: Bool { loop.threadHasEnded }

  /// Publications that wait for the broker.
  public var waiting: Int { loop.queue.count }

  /// Queues a publication.
  public func publish(_ publication: MQTTPublication) { loop.publish(publication) }

  /// Waits while much waits for a broker that is there and takes it, so that a storm loses nothing.
  ///
  /// - Parameter patience: how long a broker that takes nothing is waited for, once until it takes something again.
  public func waitForRoom(_ patience: Duration = .seconds(2)) async {
    if loop.isConnected { await loop.queue.waitForRoom(patience) }
  }

  /// What is to be subscribed, on this connection and on every later one.
  ///
  /// - Parameter leaving: filters that are to be unsubscribed on every connection until the broker has confirmed it; a session that the
  ///   broker has kept may still have them.
  public func subscribe(_ filters: [String], leaving: [String] = []) { loop.subscribe(filters, leaving: leaving) }

  /// Waits for messages, and takes those that are there; nil when the client has stopped, or the task is cancelled.
  public func messages(limit: Int = 256) async -> [MQTTMessage]? { await loop.inbox.take(limit: limit) }

  /// Publishes what waits, disconnects and ends the thread.
  ///
  /// - Parameter limit: how long publishing may take. A thread that is stuck in the search for the broker's address ends later.
  public func stop(within limit: Duration = .seconds(2)) async { await loop.stop(within: limit) }
}
