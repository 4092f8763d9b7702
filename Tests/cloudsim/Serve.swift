import ArgumentParser
import CloudSimulator
import Dispatch
import Glibc
import HTTPServer
import Logging
import NIOPosix

/// Runs a cloud in the foreground until a signal ends it.
struct Serve: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Run a cloud in the foreground.")

  @OptionGroup var cloud: CloudOptions

  @Option(help: "The address to listen on.")
  var host = "127.0.0.1"

  @Option(help: "The port for certificates; 0 is any free one, the same in later runs.")
  var httpsPort = 0

  @Option(name: .customLong("port"), help: "The port for nodes; 0 is any free one, the same in later runs.")
  var websocketPort = 0

  @Option(help: "Life of the nodes' certificates in seconds.")
  var certificateLife = 365 * 86_400

  mutating func run() async throws {
    var configuration = CloudSimulator.Configuration()
    configuration.host = host
    configuration.httpsPort = httpsPort
    configuration.websocketPort = websocketPort
    configuration.certificateLife = .seconds(certificateLife)
    configuration.stateDirectory = cloud.dir
    let simulator = try await CloudSimulator.start(configuration)
    let server = HTTPServer(
      address: .unixSocket(path: Control.socketPath(cloud.dir)), routes: Control.routes(simulator),
      group: MultiThreadedEventLoopGroup.singleton, logger: Logger(label: "cloudsim"))
    await withTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        do {
          // Written at once, also into a file: others wait for this line.
          try await server.run { _ in Self.write("\(simulator.httpServer) \(simulator.websocketServer)\n") }
        } catch {
          if !(error is CancellationError) { Self.write("the control socket failed: \(error)\n") }
        }
      }
      tasks.addTask { await Self.signal() }
      await tasks.next()
      tasks.cancelAll()
    }
    await simulator.shutdown()
  }

  private static func write(_ text: String) {
    let bytes = Array(text.utf8)
    _ = Glibc.write(STDOUT_FILENO, bytes, bytes.count)
  }

  /// Returns when the process is told to end.
  private static func signal() async {
    let (signals, continuation) = AsyncStream.makeStream(of: Void.self)
    let sources = [SIGINT, SIGTERM].map { number in
      Glibc.signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number)
      source.setEventHandler { continuation.yield() }
      source.resume()
      return source
    }
    for await _ in signals { break }
    for source in sources { source.cancel() }
  }
}
