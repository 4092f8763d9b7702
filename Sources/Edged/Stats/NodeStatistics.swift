import Core
import HTTPServer
import KubernetesAPI
import YAML

/// The paths of the node's HTTP API that tell what is used: `/stats/summary` and the metrics.
struct NodeStatistics: Sendable {
  /// - Throws: `ServerError` while the node isn't ready.
  let node: @Sendable () throws -> EdgedNode
  /// The agent's own metrics.
  let metrics: @Sendable () -> String

  var routes: [Route] {
    [
      Route("GET", "/stats/summary") { try await summary($0) },
      Route("GET", "/metrics") { _ in text(metrics() + (await MetricsText(node: try node()).text)) },
      Route("GET", "/metrics/resource") { _ in text(MetricsText(resources: try await node().stats.sample()).text) },
      Route("GET", "/metrics/cadvisor") { _ in
        let node = try node()
        let cores = node.operations.node.capacity["cpu"]?.value ?? 0
        return text(MetricsText(containers: try await node.stats.sample(), cores: cores).text)
      },
      Route("GET", "/metrics/probes") { _ in
        _ = try node()
        return text(Self.probes(in: metrics()))
      },
    ]
  }

  private func summary(_ request: ServerRequest) async throws -> ServerResponse {
    let node = try node()
    let sample = try await node.stats.sample()
    let files = request.flag("only_cpu_and_memory") ? nil : try await node.stats.fileUsage()
    let summary = StatsSummary(
      nodeName: node.operations.node.name, sample: sample, files: files, agentStarted: node.operations.agentStarted)
    return .json(summary.json.jsonBytes())
  }

  private func text(_ text: String) -> ServerResponse {
    ServerResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .bytes(Array(text.utf8)))
  }

  /// The lines about probes.
  static func probes(in text: String) -> String {
    let lines = text.split(separator: "\n").filter { line in
      line.hasPrefix("prober_") || line.hasPrefix("# HELP prober_") || line.hasPrefix("# TYPE prober_")
    }
    return lines.map { $0 + "\n" }.joined()
  }
}

extension MetricsText {
  /// What the agent's own metrics don't tell of the node, under the kubelet's names.
  init(node: EdgedNode) async {
    let pods = await node.pods.all
    var states: [String: Int] = ["created": 0, "exited": 0, "running": 0, "unknown": 0]
    var running = 0
    for record in await node.view.all {
      if !record.readySandboxes.isEmpty { running += 1 }
      for container in record.containers { states["\(container.state)", default: 0] += 1 }
    }
    begin("kubelet_node_name", "gauge", "The node's name. The count is always 1.")
    add("kubelet_node_name", [("node", node.operations.node.name)], "1")
    begin("kubelet_running_pods", "gauge", "Number of pods that have a running pod sandbox")
    add("kubelet_running_pods", [], String(running))
    begin("kubelet_running_containers", "gauge", "Number of containers currently running")
    for (state, count) in states.sorted(by: { $0.key < $1.key }) {
      add("kubelet_running_containers", [("container_state", state)], String(count))
    }
    begin("kubelet_desired_pods", "gauge", "The number of pods the kubelet is being instructed to run.")
    for (source, isStatic) in [(PodSource.manifests, "true"), (.cloud, "")] {
      add("kubelet_desired_pods", [("static", isStatic)], String(pods.count { $0.source == source }))
    }
  }
}
