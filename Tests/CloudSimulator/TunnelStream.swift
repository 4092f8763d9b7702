import Synchronization

/// A request of the cluster to a node, through its tunnel.
public final class TunnelStream: Sendable {
  public enum End: Sendable, Hashable { case removed, tunnelLost }

  private struct State {
    var bytes: [UInt8] = []
    var count = 0
    var end: End?
    var removals = 0
  }

  public let id: UInt64
  private let tunnel: TunnelOfNode
  private let state = Mutex(State())
  private let progress = Broadcast<Void>()

  init(id: UInt64, tunnel: TunnelOfNode) {
    self.id = id
    self.tunnel = tunnel
  }

  /// What has come so far, unless it was forgotten.
  public var bytes: [UInt8] { state.withLock { $0.bytes } }
  /// How many bytes have come, whether they were forgotten or not.
  public var count: Int { state.withLock { $0.count } }
  public var text: String { String(decoding: bytes, as: UTF8.self) }
  public var end: End? { state.withLock { $0.end } }
  /// How often the node has said that it ended.
  public var removals: Int { state.withLock { $0.removals } }

  public func forget() { state.withLock { $0.bytes = [] } }

  /// Sends bytes to the node's end, in pieces as cloudcore does.
  public func send(_ bytes: [UInt8], piece: Int = 256) {
    for start in stride(from: 0, to: bytes.count, by: piece) { tunnel.send(id, 3, Array(bytes[start..<min(start + piece, bytes.count)])) }
  }

  public func send(_ text: String) { send(Array(text.utf8)) }

  /// The client has gone.
  public func remove() { tunnel.send(id, 4) }

  func received(_ bytes: ArraySlice<UInt8>) {
    state.withLock { state in
      state.bytes += bytes
      state.count += bytes.count
    }
    progress.send(())
  }

  func ended(_ end: End) {
    state.withLock { state in
      if state.end == nil { state.end = end }
      if end == .removed { state.removals += 1 }
    }
    progress.send(())
  }

  /// Waits until what has come is as it should be.
  ///
  /// - Throws: `CloudSimulatorError` when the time is over.
  public func wait(within limit: Duration = .seconds(60), until isDone: @escaping @Sendable (TunnelStream) -> Bool) async throws {
    let changes = progress.stream(.bufferingNewest(1))
    let done = await Deadline.first(within: limit) { [self] () -> Bool? in
      if isDone(self) { return true }
      for await _ in changes where isDone(self) { return true }
      return nil
    }
    guard done != nil else {
      throw CloudSimulatorError("session \(id) is not as it should be after \(limit): \(count) bytes, end \(end.map { "\($0)" } ?? "none")")
    }
  }

  /// All that has come when the session has ended.
  @discardableResult
  public func all(within limit: Duration = .seconds(60)) async throws -> [UInt8] {
    try await wait(within: limit) { $0.end != nil }
    return bytes
  }
}
