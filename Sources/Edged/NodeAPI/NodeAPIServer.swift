import Core
import Glibc
import HTTPServer
import Logging
import NIOPosix
import Synchronization

/// Serves the node's API as long as the agent runs. Pods never depend on it: when it can't be served, it is said and tried again.
struct NodeAPIServer: Sendable {
  let configuration: EdgedConfiguration
  let node: @Sendable () -> EdgedNode?
  let metrics: @Sendable () -> String
  let logger: Logger

  /// Returns when the task is cancelled, or at once if the port is 0.
  func run() async {
    guard configuration.tailoredKubeletConfig.readOnlyPort > 0 else { return }
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let api = NodeAPI(configuration: configuration, node: node, metrics: metrics, events: events, logger: logger)
    let remoteTLS = remoteTLS()
    await withDiscardingTaskGroup { tasks in
      for address in addresses {
        tasks.addTask { await serve(api, at: address, remoteTLS) }
      }
    }
    try? await events.shutdownGracefully()
  }

  /// This host is always served on a loopback address, where the tunnel to the cloud finds it.
  private var addresses: [String] {
    let address = configuration.tailoredKubeletConfig.address
    return NodeAddress.isLoopback(address) || NodeAddress.isWildcard(address) ? [address] : ["127.0.0.1", address]
  }

  private func serve(_ api: NodeAPI, at address: String, _ remoteTLS: HTTPServer.RemoteTLS?) async {
    let port = configuration.tailoredKubeletConfig.readOnlyPort
    let place = address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
    let server = HTTPServer(
      address: .tcp(host: address, port: Int(port)), routes: api.routes, group: api.events, limits: Self.limits(), remoteTLS: remoteTLS,
      logger: logger)
    var backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(10))
    var told = ""
    while !Task.isCancelled {
      do {
        let logger = logger
        try await server.run { _ in
          logger.info("serving the node's API", metadata: ["address": "\(place)"])
          if !NodeAddress.isLoopback(address), remoteTLS == nil {
            logger.warning(
              "tailoredKubeletConfig.address is no loopback address, and there is no tlsCertFile: only /healthz is served to other hosts",
              metadata: ["address": "\(place)"])
          }
        }
      } catch is CancellationError {
        break
      } catch {
        let text = "\(error)"
        if text != told {
          logger.error(
            "the node's API can't be served; pods run on, and it is tried again", metadata: ["address": "\(place)", "error": "\(text)"])
        }
        told = text
      }
      do { try await Task.sleep(for: backoff.next()) } catch { break }
    }
  }

  /// nil if other hosts aren't to be served.
  private func remoteTLS() -> HTTPServer.RemoteTLS? {
    guard let certificate = ServerCertificate(configuration.tailoredKubeletConfig) else { return nil }
    let told = Mutex("")
    let logger = logger
    let context: HTTPServer.RemoteTLS = {
      do {
        let context = try certificate.context()
        told.withLock { $0 = "" }
        return context
      } catch {
        let text = "\(error)"
        let isNew = told.withLock { told in
          defer { told = text }
          return told != text
        }
        if isNew { logger.error("other hosts can't be served", metadata: ["error": "\(text)"]) }
        throw error
      }
    }
    // What is wrong is said at the start, not when somebody comes.
    _ = try? context()
    return context
  }

  /// Half of the descriptors that the agent may have, at most.
  private static func limits() -> HTTPServer.Limits {
    var limits = HTTPServer.Limits()
    var descriptors = rlimit()
    let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0
    limits.connections = isKnown ? Int(min(descriptors.rlim_cur / 2, 2048)) : 512
    return limits
  }
}
