import HTTPServer
import KubernetesAPI
import Synchronization

/// Forwards ports: a pair of streams, one for data and one for errors, for each connection to a port of the pod.
struct PortForwardServer: Sendable {
  /// How long the second stream of a pair may take.
  private static let creationTime = Duration.seconds(30)

  /// Connects to a port of the pod, runs `body` with the connection, and closes it.
  typealias Connect = @Sendable (_ port: UInt16, _ body: @Sendable (StreamConnection) async throws -> Void) async throws -> Void

  let pod: Pod
  let idle: IdleClock
  let connect: Connect

  private struct Pair: Sendable {
    var data: SPDYStream?
    var error: SPDYStream?
  }

  /// Pairs of which one stream is there.
  private final class HalfPairs: Sendable {
    private let pairs = Mutex<[String: Pair]>([:])

    /// Returns what there is of its pair now; a whole pair is not kept.
    func add(_ stream: SPDYStream, id: String) -> Pair {
      pairs.withLock { pairs in
        var pair = pairs[id] ?? Pair()
        if stream.type == "data" { pair.data = stream } else { pair.error = stream }
        pairs[id] = pair.data != nil && pair.error != nil ? nil : pair
        return pair
      }
    }

    /// Returns whether the stream was still without another.
    func remove(_ stream: SPDYStream, id: String) -> Bool {
      pairs.withLock { pairs in
        guard let pair = pairs[id], pair.data === stream || pair.error === stream else { return false }
        pairs[id] = nil
        return true
      }
    }
  }

  /// Over a WebSocket: one connection to each of the ports that the client named.
  func serve(_ connection: StreamConnection, _ version: WebSocketProtocol, ports: [Int32]) async {
    let channels = WebSocketStreams(connection, version, count: 2 * ports.count, idle: idle)
    await channels.run {
      await withDiscardingTaskGroup { tasks in
        for (index, number) in ports.enumerated() {
          let port = UInt16(number)
          let data = channels.streams[2 * index]
          let error = channels.streams[2 * index + 1]
          tasks.addTask {
            // Which port it is stands at the beginning of each stream.
            let first = [UInt8(port & 0xFF), UInt8(port >> 8)]
            try? await data.write(first)
            try? await error.write(first)
            await forward(port, data, error)
          }
        }
      }
    }
  }

  /// Over SPDY: the client opens pairs of streams as it likes.
  func serve(_ connection: StreamConnection) async {
    let (arrivals, arrival) = AsyncStream<SPDYStream>.makeStream()
    await serveSPDY(connection, idle: idle) { stream in
      guard Self.port(stream) != nil, ["data", "error"].contains(stream.type) else { return nil }
      return { arrival.yield(stream) }
    } work: { spdy in
      let pairs = HalfPairs()
      await withDiscardingTaskGroup { tasks in
        for await stream in arrivals {
          let id = Self.requestID(stream)
          let pair = pairs.add(stream, id: id)
          if let data = pair.data, let error = pair.error {
            tasks.addTask {
              if let port = Self.port(data) { await forward(port, data, error) }
              spdy.forget(data)
              spdy.forget(error)
            }
          } else {
            tasks.addTask {
              try? await Task.sleep(for: Self.creationTime)
              guard !Task.isCancelled, pairs.remove(stream, id: id) else { return }
              try? await stream.reset()
              spdy.forget(stream)
            }
          }
        }
      }
    }
  }

  private static func port(_ stream: SPDYStream) -> UInt16? {
    guard let port = UInt16(stream.headers["port"] ?? ""), port > 0 else { return nil }
    return port
  }

  /// What makes two streams a pair; clients that don't say open the one for errors first and that for data right behind it.
  private static func requestID(_ stream: SPDYStream) -> String {
    if let id = stream.headers["requestid"], !id.isEmpty { return "id \(id)" }
    return "stream \(stream.type == "data" ? Int(stream.id) - 2 : Int(stream.id))"
  }

  private func forward(_ port: UInt16, _ data: any ClientStream, _ error: any ClientStream) async {
    do {
      try await connect(port) { try await Self.carry(data, $0) }
      try? await data.end()
      try? await error.end()
    } catch let problem {
      let text = "error forwarding port \(port) to pod \(pod.fullName), uid \(pod.uid): \(problem)"
      try? await error.write(Array(text.utf8))
      try? await error.end()
      try? await data.reset()
    }
  }

  /// Both directions, each with an end of its own. The pod's end is the end of it all.
  private static func carry(_ stream: any ClientStream, _ socket: StreamConnection) async throws {
    try await withThrowingTaskGroup(of: Bool.self) { tasks in
      tasks.addTask {
        while let bytes = await stream.input.next() { try await socket.write(bytes) }
        if !Task.isCancelled { try await socket.closeWrite() }
        return false
      }
      tasks.addTask {
        while let bytes = try await socket.next() { try await stream.write(bytes) }
        return true
      }
      defer { tasks.cancelAll() }
      while let isPodsEnd = try await tasks.next(), !isPodsEnd {}
    }
  }
}
