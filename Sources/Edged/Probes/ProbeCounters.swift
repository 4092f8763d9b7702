import KubernetesAPI
import Metrics

/// Counts the outcomes of one probe as `prober_probe_total`.
///
/// A series appears with its first count, so that the failures of probes that never fail take no memory.
final class ProbeCounters {
  private let dimensions: [(String, String)]
  private let factory: any MetricsFactory
  private var counters: [String: Counter] = [:]

  init(_ kind: ProbeKind, container: String, pod: Pod, factory: any MetricsFactory) {
    self.factory = factory
    self.dimensions = [
      ("probe_type", kind.rawValue), ("container", container), ("pod", pod.name), ("namespace", pod.namespace), ("pod_uid", pod.uid),
    ]
  }

  func count(_ verdict: ProbeOutcome.Verdict) {
    let result =
      switch verdict {
      case .success, .warning: "successful"
      case .failure: "failed"
      case .unknown: "unknown"
      }
    if let counter = counters[result] { return counter.increment() }
    let counter = Counter(label: "prober_probe_total", dimensions: dimensions + [("result", result)], factory: factory)
    counters[result] = counter
    counter.increment()
  }

  /// Takes the series away again.
  func destroy() {
    for counter in counters.values { counter.destroy() }
    counters = [:]
  }
}
