import KubernetesAPI
import Runtime
import Testing
import YAML

@testable import Edged

@Suite struct StatsTests {
  @Test func theNodesUseIsReadFromTheKernel() throws {
    let usage = NodeUsage(
      stat: "cpu  100 20 30 4000 500 6 7 8 9 0\ncpu0 1 1 1 1\nbtime 1700000000\n",
      meminfo:
        "MemTotal:       1000 kB\nMemFree:         400 kB\nInactive(file):  100 kB\nAnonPages:       200 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n",
      vmstat: "nr_free_pages 1\npgfault 1234\npgmajfault 56\n", loadavg: "0.00 0.01 0.05 2/345 6789\n", pidMax: "32768\n",
      ticksPerSecond: 100)
    // All but idle and waiting: 100 + 20 + 30 + 6 + 7 + 8 hundredths of a second.
    #expect(usage.cpuNanoseconds == 1_710_000_000)
    #expect(usage.memoryBytes == 600 << 10 && usage.workingSetBytes == 500 << 10 && usage.availableBytes == 500 << 10)
    #expect(usage.rssBytes == 200 << 10 && usage.swapTotal == 50 << 10 && usage.swapFree == 20 << 10)
    #expect(usage.pageFaults == 1234 && usage.majorPageFaults == 56)
    #expect(usage.bootTime == 1_700_000_000 && usage.processes == 345 && usage.processLimit == 32768)
    #expect(try NodeUsage.read().memoryTotal > 1 << 20)
  }

  @Test func interfacesAreCountedWithoutTheLoopback() {
    let network = NetworkUsage(
      devices: """
        Inter-|   Receive                                                |  Transmit
         face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
            lo:     500       5    0    0    0     0          0         0      500       5    0    0    0     0       0          0
          eth0: 1000      10    1    0    0     0          0         0     2000      20    2    0    0     0       0          0
          net1:       7       1    0    0    0     0          0         0        8       1    0    0    0     0       0          0
        """,
      routes: "Iface\tDestination\tGateway\nnet1\t0000A8C0\t0\neth0\t00000000\t0100A8C0\n")
    #expect(network.interfaces.map(\.name) == ["eth0", "net1"])
    #expect(network.main == .init(name: "eth0", receivedBytes: 1000, receiveErrors: 1, sentBytes: 2000, sendErrors: 2))
  }

  @Test func ratesNeedTwoLooks() {
    var rates = CPURates()
    let start = Timestamp(seconds: 100)
    #expect(rates.rate(of: "a", 1_000_000_000, at: start) == nil)
    // Half a core for two seconds.
    #expect(rates.rate(of: "a", 2_000_000_000, at: start + .seconds(2)) == 500_000_000)
    // Too soon for another figure.
    #expect(rates.rate(of: "a", 2_900_000_000, at: start + .milliseconds(2500)) == 500_000_000)
    // A container that was made anew begins at nothing.
    #expect(rates.rate(of: "a", 5, at: start + .seconds(4)) == nil)
    rates.forgetOthers()
    rates.forgetOthers()
    #expect(rates.rate(of: "a", 5_000_000_000, at: start + .seconds(6)) == nil)
  }

  @Test func filesAreCountedOnce() throws {
    let directory = VolumeTestDirectory()
    _ = try FileSystem.makeDirectories(directory.path + "/tree/a", mode: 0o700)
    try FileSystem.replace(directory.path + "/tree/a/file", with: [UInt8](repeating: 1, count: 10_000), mode: 0o600)
    let usage = FileTreeUsage.read(directory.path + "/tree")
    #expect(usage.inodes == 2)
    #expect(usage.bytes >= 10_000)
    #expect(FileTreeUsage.read(directory.path + "/nothing") == FileTreeUsage())
    #expect((FileSystemUsage.read(directory.path)?.capacityBytes ?? 0) > 0)
  }

  private static func sample() -> StatsSample {
    var node = NodeUsage()
    node.cpuNanoseconds = 5_000_000_001
    node.memoryTotal = 1000
    node.workingSetBytes = 400
    var usage = CgroupUsage(cpuNanoseconds: 1_500_000_000, memoryBytes: 300, workingSetBytes: 200, rssBytes: 100, pids: 3)
    usage.swapBytes = 7
    let container = StatsSample.Container(
      name: "main", id: "c1", image: "busybox", startedAt: Timestamp(seconds: 50), usage: usage, nanoCores: 42)
    let network = NetworkUsage(devices: "eth0: 1 2 3 4 5 6 7 8 9 10 11\n", routes: "")
    let pod = StatsSample.PodUse(
      name: "web\"1", namespace: "default", uid: "u1", startTime: Timestamp(seconds: 40), usage: usage, nanoCores: 43, network: network,
      containers: [container])
    return StatsSample(
      time: Timestamp(seconds: 100), node: node, nodeNanoCores: nil, agent: ProcessUsage(), agentNanoCores: nil, allPods: usage,
      allPodsNanoCores: nil, network: network, pods: [pod])
  }

  @Test func theSummaryHasTheKubeletsShape() throws {
    var files = NodeFiles(time: Timestamp(seconds: 90))
    files.writableLayers["c1"] = FileTreeUsage(bytes: 4096, inodes: 1)
    files.pods["u1"] = .init(
      logs: ["main": FileTreeUsage(bytes: 100, inodes: 1)],
      volumes: ["data": .init(used: FileTreeUsage(bytes: 1000, inodes: 2), fileSystem: nil, isLocal: true)])
    let summary = StatsSummary(nodeName: "edge-1", sample: Self.sample(), files: files, agentStarted: Timestamp(seconds: 1)).json
    #expect(summary["node"]?["nodeName"]?.string == "edge-1")
    #expect(summary["node"]?["memory"]?["availableBytes"]?.int == 600)
    // Nothing is told that isn't known.
    #expect(summary["node"]?["cpu"]?["usageNanoCores"] == nil)
    let pod = try #require(summary["pods"]?.array?.first)
    #expect(pod["podRef"]?["uid"]?.string == "u1")
    #expect(pod["containers"]?.array?.first?["cpu"]?["usageNanoCores"]?.int == 42)
    #expect(pod["containers"]?.array?.first?["rootfs"]?["usedBytes"]?.int == 4096)
    #expect(pod["ephemeral-storage"]?["usedBytes"]?.int == 5196)
    #expect(pod["volume"]?.array?.first?["name"]?.string == "data")
    #expect(pod["network"]?["rxBytes"]?.int == 1)
    #expect(pod["process_stats"]?["process_count"]?.int == 3)
    let short = StatsSummary(nodeName: "edge-1", sample: Self.sample(), files: nil, agentStarted: Timestamp(seconds: 1)).json
    #expect(short["pods"]?.array?.first?["network"] == nil && short["node"]?["fs"] == nil)
  }

  @Test func metricsCarryTheirTimeAndEscapeLabels() {
    let text = MetricsText(resources: Self.sample()).text
    #expect(text.contains("node_cpu_usage_seconds_total 5.000000001 100000\n"))
    #expect(text.contains(#"container_memory_working_set_bytes{container="main",namespace="default",pod="web\"1"} 200 100000"# + "\n"))
    #expect(text.contains(#"pod_swap_usage_bytes{namespace="default",pod="web\"1"} 7 100000"# + "\n"))
    let containers = MetricsText(containers: Self.sample(), cores: 2).text
    #expect(
      containers.contains(#"container_network_receive_bytes_total{id="/podu1",interface="eth0",namespace="default",pod="web\"1"} 1 100000"#)
    )
    #expect(containers.contains("machine_cpu_cores 2\n"))
  }

  @Test func onlyLinesAboutProbesAreTold() {
    let text = "# HELP a x\na 1\n# HELP prober_probe_total y\n# TYPE prober_probe_total counter\nprober_probe_total{r=\"s\"} 2\nb 3\n"
    #expect(
      NodeStatistics.probes(in: text)
        == "# HELP prober_probe_total y\n# TYPE prober_probe_total counter\nprober_probe_total{r=\"s\"} 2\n")
  }
}
