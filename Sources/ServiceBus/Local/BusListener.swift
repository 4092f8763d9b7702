import Core
import HTTPServer
import Logging
import NIOPosix

/// Listens for applications while there is something that they may ask for. When that can't be done it is said once and tried again.
struct BusListener: Sendable {
  private static let complaint = "applications can't be served; it is tried again"

  let configuration: ServiceBusConfiguration
  let requests: LocalRequests
  let limits: BusLimits
  let status: ServiceBusStatus
  let logger: Logger

  /// Follows the need until the task is cancelled.
  func run(_ need: AsyncStream<Bool>) async {
    var server: Task<Void, Never>?
    for await isNeeded in need {
      if isNeeded, server == nil {
        server = Task { await serve() }
      } else if !isNeeded, let idle = server {
        await requests.waitUntilIdle(atMost: limits.farewell)
        idle.cancel()
        await idle.value
        server = nil
        logger.info("no rule is left: applications aren't served any more")
      }
    }
    server?.cancel()
    await server?.value
  }

  private func serve() async {
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let certificate = ServerCertificate(configuration)
    let server = server(events, certificate)
    var backoff = limits.retry
    while !Task.isCancelled {
      do {
        // What is wrong is said now, not when somebody comes; and then nothing is served, least of all in clear text.
        _ = try certificate?.context()
        try await server.run { port in
          status.note(port: port)
          status.noteOvercome(Self.complaint)
          logger.info(
            "serving applications", metadata: ["address": "\(configuration.server):\(port ?? 0)", "tls": "\(certificate != nil)"])
        }
        backoff.reset()
      } catch is CancellationError {
      } catch {
        status.note(error: "\(configuration.server):\(configuration.port): \(error)", about: Self.complaint, logger: logger)
      }
      status.note(port: nil)
      if !Task.isCancelled { try? await Task.sleep(for: backoff.next()) }
    }
    try? await events.shutdownGracefully()
  }

  private func encryption(_ certificate: ServerCertificate) -> HTTPServer.RemoteTLS {
    { [status, logger] in
      do {
        let context = try certificate.context()
        status.noteOvercome(ServerCertificate.complaint)
        return context
      } catch {
        status.note(error: "\(error)", about: ServerCertificate.complaint, logger: logger)
        throw error
      }
    }
  }

  private func server(_ events: MultiThreadedEventLoopGroup, _ certificate: ServerCertificate?) -> HTTPServer {
    var limits = HTTPServer.Limits()
    limits.body = self.limits.body
    limits.bodies = self.limits.requestBytes
    // What heads hold is bounded, too.
    limits.head = 64 << 10
    return HTTPServer(
      address: .tcp(host: configuration.server, port: Int(configuration.port)), routes: [.everything(requests.answer)], group: events,
      limits: limits, remoteTLS: certificate.map(encryption), encryptsThisHost: true, refuse: requests.refuse, logger: logger)
  }
}

extension ServerCertificate {
  fileprivate static let complaint = "an application's connection is refused"
}
