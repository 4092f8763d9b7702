import CoreMetrics
import Synchronization

/// All metrics of the process, kept for Prometheus.
///
/// Counters become counters, gauges and meters gauges, recorders and timers histograms with fixed buckets (timers in seconds).
public final class MetricsRegistry: MetricsFactory {
  /// The upper bounds of buckets unless others are set for a metric; fit seconds.
  public static let standardBuckets = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

  public enum Kind: String, Sendable { case counter, gauge, histogram }

  /// A value that is taken when the metrics are read.
  public struct Sample: Sendable {
    public var name: String
    public var kind: Kind
    public var help: String
    public var dimensions: [(String, String)]
    public var value: Double

    /// - Parameter kind: counter or gauge.
    public init(_ name: String, _ kind: Kind, help: String = "", dimensions: [(String, String)] = [], value: Double) {
      self.name = name
      self.kind = kind
      self.help = help
      self.dimensions = dimensions
      self.value = value
    }
  }

  private enum Metric {
    case counter(CounterMetric)
    case gauge(GaugeMetric)
    case histogram(HistogramMetric)

    var object: AnyObject {
      switch self {
      case .counter(let metric): metric
      case .gauge(let metric): metric
      case .histogram(let metric): metric
      }
    }
  }

  private struct Family {
    var kind: Kind
    /// By their labels as text: `{a="1",b="2"}`, empty without any.
    var series: [String: Metric] = [:]
  }

  private struct State {
    var families: [String: Family] = [:]
    var help: [String: String] = [:]
    var buckets: [String: [Double]] = [:]
    var collectors: [@Sendable () -> [Sample]] = []
  }

  private let state = Mutex(State())

  public init() {}

  /// Sets a metric's help text and, for a histogram, its buckets; to be called before the metric is used.
  public func describe(_ name: String, help: String, buckets: [Double]? = nil) {
    let name = PrometheusText.name(name)
    state.withLock { state in
      state.help[name] = help
      if let buckets { state.buckets[name] = Set(buckets).sorted() }
    }
  }

  /// Adds values that are asked for each time the metrics are read.
  public func addCollector(_ collector: @escaping @Sendable () -> [Sample]) { state.withLock { $0.collectors.append(collector) } }

  /// All metrics in Prometheus' text format (version 0.0.4), sorted by name.
  public func text() -> String {
    let (families, help, collectors) = state.withLock { ($0.families, $0.help, $0.collectors) }
    var text = PrometheusText()
    for (name, family) in families where !family.series.isEmpty {
      text.begin(name, kind: family.kind.rawValue, help: help[name] ?? "")
      for (labels, metric) in family.series.sorted(by: { $0.key < $1.key }) {
        switch metric {
        case .counter(let counter): text.add(name, labels: labels, counter.value)
        case .gauge(let gauge): text.add(name, labels: labels, gauge.value)
        case .histogram(let histogram): text.add(name, labels: labels, histogram.snapshot, bounds: histogram.bounds)
        }
      }
    }
    for collector in collectors {
      for sample in collector() {
        let name = PrometheusText.name(sample.name)
        text.begin(name, kind: sample.kind.rawValue, help: sample.help)
        text.add(name, labels: PrometheusText.labels(sample.dimensions), sample.value)
      }
    }
    return text.finish()
  }

  private func metric(_ label: String, _ dimensions: [(String, String)], _ kind: Kind) -> Metric {
    let labels = PrometheusText.labels(dimensions)
    return state.withLock { state in
      var name = PrometheusText.name(label)
      // One name has one kind: a second kind gets a name of its own.
      if let family = state.families[name], family.kind != kind { name += "_\(kind.rawValue)" }
      if let metric = state.families[name]?.series[labels] { return metric }
      let metric: Metric =
        switch kind {
        case .counter: .counter(CounterMetric())
        case .gauge: .gauge(GaugeMetric())
        case .histogram: .histogram(HistogramMetric(bounds: state.buckets[name] ?? Self.standardBuckets))
        }
      state.families[name, default: Family(kind: kind)].series[labels] = metric
      return metric
    }
  }

  private func remove(_ handler: AnyObject) {
    state.withLock { state in
      for (name, family) in state.families {
        guard let labels = family.series.first(where: { $0.value.object === handler })?.key else { continue }
        state.families[name]?.series[labels] = nil
      }
    }
  }
}

extension MetricsRegistry {
  public func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
    guard case .counter(let counter) = metric(label, dimensions, .counter) else { return CounterMetric() }
    return counter
  }

  public func makeFloatingPointCounter(label: String, dimensions: [(String, String)]) -> any FloatingPointCounterHandler {
    guard case .counter(let counter) = metric(label, dimensions, .counter) else { return CounterMetric() }
    return counter
  }

  public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
    guard case .gauge(let gauge) = metric(label, dimensions, .gauge) else { return GaugeMetric() }
    return gauge
  }

  public func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
    switch metric(label, dimensions, aggregate ? .histogram : .gauge) {
    case .histogram(let histogram): histogram
    case .gauge(let gauge): gauge
    case .counter: GaugeMetric()
    }
  }

  public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
    let name = label.hasSuffix("_seconds") ? label : "\(label)_seconds"
    guard case .histogram(let histogram) = metric(name, dimensions, .histogram) else {
      return HistogramMetric(bounds: Self.standardBuckets)
    }
    return histogram
  }

  public func destroyCounter(_ handler: any CounterHandler) { remove(handler) }
  public func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) { remove(handler) }
  public func destroyMeter(_ handler: any MeterHandler) { remove(handler) }
  public func destroyRecorder(_ handler: any RecorderHandler) { remove(handler) }
  public func destroyTimer(_ handler: any TimerHandler) { remove(handler) }
}
