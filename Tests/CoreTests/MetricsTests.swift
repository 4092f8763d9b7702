import Core
import CoreMetrics
import Testing

@Suite struct MetricsTests {
  let registry = MetricsRegistry()

  @Test func countersAndGauges() {
    registry.describe("pods.started", help: "Pods\\that \"started\"\nhere")
    let counter = Counter(label: "pods.started", dimensions: [("b", "2"), ("a", "x\"y\\z\nw")], factory: registry)
    counter.increment(by: 2)
    counter.increment()
    Counter(label: "pods.started", dimensions: [("a", "x\"y\\z\nw"), ("b", "2")], factory: registry).increment()
    Meter(label: "load", factory: registry).set(1.5)
    let gauge = Gauge(label: "9pods", factory: registry)
    gauge.record(7)
    gauge.record(3)
    #expect(
      registry.text() == """
        # TYPE _9pods gauge
        _9pods 3
        # TYPE load gauge
        load 1.5
        # HELP pods_started Pods\\\\that "started"\\nhere
        # TYPE pods_started counter
        pods_started{a="x\\"y\\\\z\\nw",b="2"} 4

        """)
  }

  @Test func histograms() {
    registry.describe("wait_seconds", help: "", buckets: [1, 0.1])
    let timer = Timer(label: "wait", dimensions: [("op", "pull")], factory: registry)
    timer.recordNanoseconds(50_000_000)
    timer.recordNanoseconds(100_000_000)
    timer.recordNanoseconds(500_000_000)
    timer.recordSeconds(2)
    #expect(
      registry.text() == """
        # TYPE wait_seconds histogram
        wait_seconds_bucket{op="pull",le="0.1"} 2
        wait_seconds_bucket{op="pull",le="1"} 3
        wait_seconds_bucket{op="pull",le="+Inf"} 4
        wait_seconds_sum{op="pull"} 2.65
        wait_seconds_count{op="pull"} 4

        """)
    let recorder = Recorder(label: "sizes", factory: registry)
    recorder.record(5)
    #expect(registry.text().contains("sizes_bucket{le=\"5\"} 1\n"))
    #expect(registry.text().contains("sizes_bucket{le=\"2.5\"} 0\n"))
  }

  @Test func destroyedMetricsDisappearAndKindsDoNotMix() {
    let counter = Counter(label: "x", factory: registry)
    counter.increment()
    Gauge(label: "x", factory: registry).record(5)
    #expect(registry.text() == "# TYPE x counter\nx 1\n# TYPE x_gauge gauge\nx_gauge 5\n")
    counter.destroy()
    #expect(registry.text() == "# TYPE x_gauge gauge\nx_gauge 5\n")
  }

  @Test func concurrentIncrementsAreAllCounted() async {
    let counter = Counter(label: "n", factory: registry)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<8 { group.addTask { for _ in 0..<1000 { counter.increment() } } }
    }
    #expect(registry.text() == "# TYPE n counter\nn 8000\n")
  }

  @Test func channelIsExported() async throws {
    let channel = ChannelContext()
    try channel.register("edged")
    try await channel.send(message(), to: "edged")
    registry.export(channel)
    let text = registry.text()
    #expect(text.contains("# HELP edgecore_mailbox_depth Messages that wait to be received.\n# TYPE edgecore_mailbox_depth gauge\n"))
    #expect(text.contains("edgecore_mailbox_depth{module=\"edged\"} 1\n"))
    #expect(text.contains("edgecore_channel_pending_requests 0\n"))
  }
}
