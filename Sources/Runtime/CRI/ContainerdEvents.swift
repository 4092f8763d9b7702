import Curl
import GRPC
import SwiftProtobuf
import Synchronization

/// A subscription to containerd's event service.
struct ContainerdEvents: Sendable {
  private static let service = "containerd.services.events.v1.Events"
  /// Events that wait for a reader. Beyond that the subscription fails, and the reader's next list makes good for it.
  private static let bufferLimit = 4096

  let channel: GRPCChannel

  /// Starts when called; ends with an error when the connection does, or when the reader goes away.
  func stream() -> AsyncThrowingStream<RuntimeEvent, any Error> {
    AsyncThrowingStream(bufferingPolicy: .bufferingOldest(Self.bufferLimit)) { continuation in
      let task = Task {
        do {
          try await run(continuation)
          continuation.finish(throwing: GRPCError(.unavailable, "the engine ended the event stream"))
        } catch let error as GRPCError {
          continuation.finish(throwing: RuntimeError(error.runtimeCode, operation: "Subscribe", message: error.description))
        } catch {
          continuation.finish(throwing: error)
        }
      }
      continuation.onTermination = { _ in task.cancel() }
    }
  }

  /// When does the subscription stand? The engine doesn't say: it sends nothing, not even the reply's head, before the first event,
  /// and it serves each call by itself, so that a later call on the same connection may well be answered before it has subscribed.
  /// So an event of our own is published under a topic that nobody else has, over and over until something arrives: whatever
  /// arrives proves the subscription.
  private func run(_ continuation: AsyncThrowingStream<RuntimeEvent, any Error>.Continuation) async throws {
    let topic = "/edgecore/subscribed/" + String(UInt64.random(in: .min ... .max), radix: 36)
    let isConnected = ConnectedFlag()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      group.addTask {
        try await receive(topic: topic, isConnected: isConnected, continuation)
        return true
      }
      group.addTask {
        try await publish(topic: topic, until: isConnected)
        return false
      }
      while let isReceiverDone = try await group.next() {
        if isReceiverDone { group.cancelAll() }
      }
    }
  }

  private func receive(
    topic: String, isConnected: ConnectedFlag, _ continuation: AsyncThrowingStream<RuntimeEvent, any Error>.Continuation
  ) async throws {
    var request = ContainerdSubscribeRequest()
    request.filters = ContainerdEvent.filters(markerTopic: topic)
    let envelopes = try await channel.serverStream(
      Self.service, "Subscribe", request, headers: [ContainerdNamespace.header], reply: ContainerdEnvelope.self)
    for try await envelope in envelopes {
      if isConnected.set() { continuation.yield(.connected) }
      guard let event = try ContainerdEvent.decode(envelope) else { continue }
      if case .dropped = continuation.yield(event) {
        throw GRPCError(.resourceExhausted, "\(Self.bufferLimit) events wait to be read")
      }
    }
  }

  private func publish(topic: String, until isConnected: ConnectedFlag) async throws {
    var request = ContainerdPublishRequest()
    request.topic = topic
    request.event.typeURL = "edgecore.Subscribed"
    var pause = Duration.milliseconds(5)
    while !isConnected.isSet {
      let _: CRIEmpty = try await channel.unary(
        Self.service, "Publish", request, headers: [ContainerdNamespace.header], timeout: .seconds(30))
      try await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(1))
    }
  }

  private final class ConnectedFlag: Sendable {
    private let value = Atomic(false)

    var isSet: Bool { value.load(ordering: .relaxed) }

    /// Whether this call was the first.
    func set() -> Bool { !value.exchange(true, ordering: .relaxed) }
  }
}
