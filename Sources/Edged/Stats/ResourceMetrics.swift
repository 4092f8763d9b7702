import KubernetesAPI
import Runtime

extension MetricsText {
  /// What `/metrics/resource` tells: the few figures that metrics-server and autoscalers read.
  init(resources sample: StatsSample) {
    let containers = sample.pods.flatMap { pod in
      pod.containers.map { container in
        (labels: [("container", container.name), ("namespace", pod.namespace), ("pod", pod.name)], container: container)
      }
    }
    let pods = sample.pods.map { (labels: [("namespace", $0.namespace), ("pod", $0.name)], usage: $0.usage) }
    let time = sample.time

    begin("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds")
    for (labels, container) in containers {
      add("container_cpu_usage_seconds_total", labels, Self.seconds(nanoseconds: container.usage.cpuNanoseconds), at: time)
    }
    begin("container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes")
    for (labels, container) in containers {
      add("container_memory_working_set_bytes", labels, String(container.usage.workingSetBytes), at: time)
    }
    begin("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds")
    for (labels, container) in containers {
      add(
        "container_start_time_seconds", labels, Self.seconds(nanoseconds: UInt64(max(0, container.startedAt.nanoseconds))), at: time)
    }
    begin("container_swap_usage_bytes", "gauge", "Current amount of the container swap usage in bytes")
    for (labels, container) in containers {
      if let bytes = container.usage.swapBytes { add("container_swap_usage_bytes", labels, String(bytes), at: time) }
    }
    begin("node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds")
    add("node_cpu_usage_seconds_total", Self.seconds(nanoseconds: sample.node.cpuNanoseconds), at: time)
    begin("node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes")
    add("node_memory_working_set_bytes", String(sample.node.workingSetBytes), at: time)
    begin("node_swap_usage_bytes", "gauge", "Current swap usage of the node in bytes")
    add("node_swap_usage_bytes", String(sample.node.swapTotal - min(sample.node.swapTotal, sample.node.swapFree)), at: time)
    begin("pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds")
    for (labels, usage) in pods { add("pod_cpu_usage_seconds_total", labels, Self.seconds(nanoseconds: usage.cpuNanoseconds), at: time) }
    begin("pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes")
    for (labels, usage) in pods { add("pod_memory_working_set_bytes", labels, String(usage.workingSetBytes), at: time) }
    begin("pod_swap_usage_bytes", "gauge", "Current amount of the pod swap usage in bytes")
    for (labels, usage) in pods { if let bytes = usage.swapBytes { add("pod_swap_usage_bytes", labels, String(bytes), at: time) } }
    begin("resource_scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise")
    add("resource_scrape_error", "0")
    begin("scrape_error", "gauge", "1 if there was an error while getting container metrics, 0 otherwise")
    add("scrape_error", "0")
  }

  private mutating func add(_ name: String, _ value: String, at time: Timestamp? = nil) { add(name, [], value, at: time) }
}
