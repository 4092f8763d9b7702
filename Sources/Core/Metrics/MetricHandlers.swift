import CoreMetrics
import Synchronization

/// A value that only grows.
final class CounterMetric: CounterHandler, FloatingPointCounterHandler {
  private let total = Mutex(0.0)
  func increment(by amount: Int64) { increment(by: Double(amount)) }
  func increment(by amount: Double) {
    guard amount > 0, amount.isFinite else { return }
    total.withLock { $0 += amount }
  }
  func reset() { total.withLock { $0 = 0 } }
  var value: Double { total.withLock { $0 } }
}

/// A value that goes up and down.
final class GaugeMetric: MeterHandler, RecorderHandler {
  private let current = Mutex(0.0)
  func set(_ value: Int64) { set(Double(value)) }
  func set(_ value: Double) { current.withLock { $0 = value } }
  func increment(by amount: Double) { current.withLock { $0 += amount } }
  func decrement(by amount: Double) { current.withLock { $0 -= amount } }
  func record(_ value: Int64) { set(Double(value)) }
  func record(_ value: Double) { set(value) }
  var value: Double { current.withLock { $0 } }
}

/// How values are spread, in buckets that are fixed from the start.
final class HistogramMetric: RecorderHandler, TimerHandler {
  struct Snapshot: Sendable {
    /// One more than there are bounds: the last one has none.
    var counts: [UInt64]
    var sum: Double
    var count: UInt64
  }

  /// Upper bounds, inclusive, ascending.
  let bounds: [Double]
  private let state: Mutex<Snapshot>

  init(bounds: [Double]) {
    self.bounds = bounds
    state = Mutex(Snapshot(counts: Array(repeating: 0, count: bounds.count + 1), sum: 0, count: 0))
  }

  func record(_ value: Int64) { record(Double(value)) }

  func record(_ value: Double) {
    guard !value.isNaN else { return }
    let bucket = bounds.firstIndex { value <= $0 } ?? bounds.count
    state.withLock { state in
      state.counts[bucket] += 1
      state.sum += value
      state.count += 1
    }
  }

  /// Timers are exported in seconds.
  func recordNanoseconds(_ duration: Int64) { record(Double(duration) / 1e9) }

  var snapshot: Snapshot { state.withLock { $0 } }
}
