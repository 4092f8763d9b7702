import HTTPServer
import Logging
import NIOPosix
import Synchronization

/// An application on the node.
final class ApplicationServer: Sendable {
  let seen = Mutex<[ServerRequest]>([])
  let port: Int
  private let task: Task<Void, any Error>
  private let group: MultiThreadedEventLoopGroup

  private init(port: Int, task: Task<Void, any Error>, group: MultiThreadedEventLoopGroup) {
    self.port = port
    self.task = task
    self.group = group
  }

  static func with(
    _ answer: @escaping @Sendable (ServerRequest) async throws -> ServerResponse, _ body: (ApplicationServer) async throws -> Void
  ) async throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let requests = AsyncStream<ServerRequest>.makeStream()
    var limits = HTTPServer.Limits()
    limits.body = 32 << 20
    let route = Route.everything { request in
      requests.continuation.yield(request)
      return try await answer(request)
    }
    let server = HTTPServer(
      address: .tcp(host: "127.0.0.1", port: 0), routes: [route], group: group, limits: limits, logger: Logger(label: "test"))
    let (ports, tell) = AsyncStream<Int>.makeStream()
    let task = Task {
      defer { tell.finish() }
      try await server.run { tell.yield($0 ?? 0) }
    }
    guard let port = await ports.first(where: { _ in true }) else { throw TestFailure("the application can't listen") }
    let application = ApplicationServer(port: port, task: task, group: group)
    let collecting = Task {
      for await request in requests.stream { application.seen.withLock { $0.append(request) } }
    }
    let result: Result<Void, any Error>
    do { result = .success(try await body(application)) } catch { result = .failure(error) }
    task.cancel()
    _ = await task.result
    requests.continuation.finish()
    await collecting.value
    try await group.shutdownGracefully()
    try result.get()
  }

  /// The request that came last, once there is one.
  func last() async throws -> ServerRequest {
    while true {
      if let request = seen.withLock({ $0.last }) { return request }
      try await Task.sleep(for: .milliseconds(5))
    }
  }
}
