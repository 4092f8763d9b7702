import KubernetesAPI
import Runtime

extension MetricsText {
  /// What `/metrics/cadvisor` tells, under the names that dashboards know.
  init(containers sample: StatsSample, cores: Int64) {
    typealias Subject = (labels: [(String, String)], usage: CgroupUsage)
    var subjects: [Subject] = []
    var starts: [(labels: [(String, String)], time: Timestamp)] = []
    for pod in sample.pods {
      let own = [("namespace", pod.namespace), ("pod", pod.name)]
      subjects.append(([("container", ""), ("id", "/pod\(pod.uid)"), ("image", ""), ("name", "")] + own, pod.usage))
      for container in pod.containers {
        let labels =
          [("container", container.name), ("id", "/pod\(pod.uid)/\(container.id)"), ("image", container.image), ("name", container.id)]
          + own
        subjects.append((labels, container.usage))
        starts.append((labels, container.startedAt))
      }
    }
    func family(_ name: String, _ kind: String, _ help: String, _ value: (CgroupUsage) -> String?) {
      begin(name, kind, help)
      for subject in subjects { if let text = value(subject.usage) { add(name, subject.labels, text, at: sample.time) } }
    }
    family("container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed in seconds.") {
      Self.seconds(nanoseconds: $0.cpuNanoseconds)
    }
    family("container_memory_cache", "gauge", "Number of bytes of page cache memory.") { String($0.cacheBytes) }
    family("container_memory_rss", "gauge", "Size of RSS in bytes.") { String($0.rssBytes) }
    family("container_memory_swap", "gauge", "Container swap usage in bytes.") { $0.swapBytes.map { String($0) } }
    family(
      "container_memory_usage_bytes", "gauge", "Current memory usage in bytes, including all memory regardless of when it was accessed"
    ) {
      String($0.memoryBytes)
    }
    family("container_memory_working_set_bytes", "gauge", "Current working set in bytes.") { String($0.workingSetBytes) }
    family("container_threads", "gauge", "Number of threads running inside the container") { String($0.pids) }

    func networkFamily(_ name: String, _ help: String, _ value: (NetworkUsage.Interface) -> UInt64) {
      begin(name, "counter", help)
      for pod in sample.pods {
        for interface in pod.network?.interfaces ?? [] {
          let labels = [
            ("id", "/pod\(pod.uid)"), ("interface", interface.name), ("namespace", pod.namespace), ("pod", pod.name),
          ]
          add(name, labels, String(value(interface)), at: sample.time)
        }
      }
    }
    networkFamily("container_network_receive_bytes_total", "Cumulative count of bytes received", \.receivedBytes)
    networkFamily("container_network_receive_errors_total", "Cumulative count of errors encountered while receiving", \.receiveErrors)
    networkFamily("container_network_transmit_bytes_total", "Cumulative count of bytes transmitted", \.sentBytes)
    networkFamily("container_network_transmit_errors_total", "Cumulative count of errors encountered while transmitting", \.sendErrors)

    begin("container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds.")
    for start in starts { add("container_start_time_seconds", start.labels, String(start.time.seconds), at: sample.time) }
    begin("machine_cpu_cores", "gauge", "Number of logical CPU cores.")
    add("machine_cpu_cores", [], String(cores))
    begin("machine_memory_bytes", "gauge", "Amount of memory installed on the machine.")
    add("machine_memory_bytes", [], String(sample.node.memoryTotal))
  }
}
