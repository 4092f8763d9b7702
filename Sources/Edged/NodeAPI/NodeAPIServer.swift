import Core
import Glibc
import HTTPServer
import Logging
import NIOPosix

/// Serves the node's API as long as the agent runs. Pods never depend on it: when it can't be served, it is said and tried again.
struct NodeAPIServer: Sendable {
  let configuration: EdgedConfiguration
  let node: @Sendable () -> EdgedNode?
  let metrics: @Sendable () -> String
  let logger: Logger

  /// Returns when the task is cancelled, or at once if the port is 0.
  func run() async {
    let kubelet = configuration.tailoredKubeletConfig
    let place =
      kubelet.address.contains(":") ? "[\(kubelet.address)]:\(kubelet.readOnlyPort)" : "\(kubelet.address):\(kubelet.readOnlyPort)"
    guard kubelet.readOnlyPort > 0 else { return }
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let api = NodeAPI(configuration: configuration, node: node, metrics: metrics, events: events, logger: logger)
    let server = HTTPServer(
      address: .tcp(host: kubelet.address, port: Int(kubelet.readOnlyPort)), routes: api.routes, group: events, limits: Self.limits(),
      logger: logger)
    var backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(10))
    var told = ""
    while !Task.isCancelled {
      do {
        let logger = logger
        try await server.run { _ in
          logger.info("serving the node's API", metadata: ["address": "\(place)"])
          if !Self.isLoopback(kubelet.address) {
            logger.warning(
              "tailoredKubeletConfig.address is no loopback address: only /healthz is served to other hosts",
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
    try? await events.shutdownGracefully()
  }

  private static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }

  /// Half of the descriptors that the agent may have, at most.
  private static func limits() -> HTTPServer.Limits {
    var limits = HTTPServer.Limits()
    var descriptors = rlimit()
    let isKnown = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &descriptors) == 0
    limits.connections = isKnown ? Int(min(descriptors.rlim_cur / 2, 2048)) : 512
    return limits
  }
}
