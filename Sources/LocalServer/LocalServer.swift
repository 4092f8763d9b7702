import Core
import Glibc
import HTTPServer
import LocalAPI
import Logging
import NIOPosix
import ServiceLifecycle

/// The module that serves the local socket which `edgectl` talks to. It asks the other modules by messages.
public final class LocalServer: Module {
  public let name = ModuleName("localserver")
  public let group = ModuleGroup.user

  private let socketPath: String
  private let routes: [Route]
  private let logger = Logger(label: "localserver")

  /// - Parameter routes: those of other modules, besides the ones that every agent has.
  public init(
    socketPath: String, channel: ChannelContext, registry: ModuleRegistry, metrics: MetricsRegistry, configuration: ConfigurationSummary,
    routes: [Route]
  ) {
    self.socketPath = socketPath
    let own = AgentRoutes(
      channel: channel, registry: registry, metrics: metrics, name: ModuleName("localserver"), configuration: configuration)
    self.routes = own.routes + routes
  }

  public func run() async throws {
    try prepareFolder()
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = HTTPServer(address: .unixSocket(path: socketPath), routes: routes, group: events, logger: logger)
    let logger = logger
    let path = socketPath
    var failure: (any Error)?
    do {
      try await cancelWhenGracefulShutdown {
        try await server.run { _ in logger.info("listening", metadata: ["socket": "\(path)"]) }
      }
    } catch is CancellationError {
    } catch {
      failure = error
    }
    unlink(socketPath)
    try? await events.shutdownGracefully()
    if let failure { throw LocalServerError(path: socketPath, problem: "\(failure)") }
  }

  private func prepareFolder() throws {
    guard let slash = socketPath.lastIndex(of: "/"), slash > socketPath.startIndex else { return }
    let folder = String(socketPath[..<slash])
    guard mkdir(folder, 0o755) == 0 || errno == EEXIST else {
      throw LocalServerError(path: folder, problem: String(cString: strerror(errno)))
    }
  }
}

/// The local socket can't be served.
struct LocalServerError: Error, CustomStringConvertible {
  var path: String
  var problem: String
  var description: String { "can't serve the local socket \(path): \(problem)" }
}
