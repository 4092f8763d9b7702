import KubernetesAPI
import Runtime
import Testing

@testable import Edged

struct NodeResourcesTests {
  @Test func allocatableIsWhatIsLeft() {
    let node = NodeResources(
      cores: 4, memory: 8 << 30, storage: 100 << 30, hugepages: [HugepageSize(bytes: 2 << 20): 512],
      reservations: .init(
        systemReserved: ["cpu": Quantity(milliValue: 500), "memory": Quantity(value: 256 << 20)],
        kubeReserved: ["memory": Quantity(value: 256 << 20), "ephemeral-storage": Quantity(value: 1 << 30)],
        evictionHard: ["memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"], maxPods: 110, podsPerCore: 20))
    #expect(node.capacity["cpu"]?.value == 4)
    #expect(node.capacity["memory"]?.text == "8388608Ki")
    #expect(node.capacity["pods"]?.value == 80)
    #expect(node.capacity["hugepages-2Mi"]?.value == 1 << 30)
    #expect(node.allocatable["cpu"]?.milliValue == 3500)
    #expect(node.allocatable["memory"]?.value == (8 << 30) - (512 << 20) - (100 << 20) - (1 << 30))
    #expect(node.allocatable["ephemeral-storage"]?.value == (100 << 30) - (1 << 30) - (10 << 30))
    #expect(node.allocatable["hugepages-2Mi"]?.value == 1 << 30)
    #expect(node.kubepodsLimits == CgroupLimits(cpuShares: 3584, memory: (8 << 30) - (512 << 20)))
  }

  @Test func nothingGoesBelowZero() {
    let node = NodeResources(
      cores: 1, memory: 64 << 20, storage: 1 << 20, hugepages: [:],
      reservations: .init(kubeReserved: ["memory": Quantity(value: 1 << 30)], evictionHard: ["memory.available": "100Mi"]))
    #expect(node.allocatable["memory"]?.value == 0)
  }

  @Test(
    arguments: [("100Mi", Int64(104_857_600)), ("10%", 100), ("2.5%", 25), ("0%", 0), ("101%", nil), ("x%", nil), ("many", nil)]
      as [(String, Int64?)])
  func thresholds(text: String, bytes: Int64?) { #expect(NodeResources.threshold(text, of: 1000) == bytes) }

  @Test(arguments: [("0-3", [0, 1, 2, 3]), ("0,2-3,8\n", [0, 2, 3, 8]), ("", []), ("3-1", []), ("5", [5])] as [(String, [Int])])
  func processors(list: String, expected: [Int]) { #expect(NodeMachine.processors(in: list) == expected) }

  @Test func readsThisMachine() throws {
    let node = try NodeResources.read(root: "/", reservations: .init())
    #expect((node.capacity["cpu"]?.value ?? 0) > 0)
    #expect((node.capacity["memory"]?.value ?? 0) > 1 << 20)
    #expect((node.capacity["ephemeral-storage"]?.value ?? 0) > 1 << 20)
    #expect(node.capacity["memory"]?.value == (try NodeMachine.memoryTotal(meminfo: NodeMachine.read("/proc/meminfo"))))
    let kernel = NodeMachine.kernelVersion()
    #expect(kernel > KernelVersion(major: 3, minor: 0))
    #expect(try NodeMachine.nodeName(hostnameOverride: " Edge-1 ") == "edge-1")
    #expect(try !NodeMachine.nodeName(hostnameOverride: "").isEmpty)
  }

  @Test func saysWhatItCouldNotRead() {
    #expect(throws: NodeMachine.Failure(description: "/nowhere/meminfo does not exist")) {
      try NodeResources.read(root: "/", reservations: .init(), proc: "/nowhere", sys: "/nowhere")
    }
  }

  @Test(arguments: [("6.1.0-18-amd64", 6, 1), ("5.10.110+", 5, 10), ("4.19", 4, 19), ("odd", 0, 0)])
  func kernelVersions(release: String, major: Int, minor: Int) {
    #expect(KernelVersion(release: release) == KernelVersion(major: major, minor: minor))
  }
}

struct HostAddressesTests {
  private let addresses = [
    HostAddresses.Address(interface: "lo", text: "127.0.0.1", isIPv6: false, isGlobal: false),
    HostAddresses.Address(interface: "docker0", text: "172.17.0.1", isIPv6: false, isGlobal: true),
    HostAddresses.Address(interface: "eth0", text: "192.0.2.7", isIPv6: false, isGlobal: true),
    HostAddresses.Address(interface: "wlan0", text: "198.51.100.3", isIPv6: false, isGlobal: true),
    HostAddresses.Address(interface: "eth0", text: "fe80::1", isIPv6: true, isGlobal: false),
    HostAddresses.Address(interface: "eth0", text: "2001:db8::7", isIPv6: true, isGlobal: true),
  ]
  private static let header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
  private static let routes =
    header + "eth0\t00000000\t010200C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\nwlan0\t00000000\t01020304\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
  private static let routes6 =
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
    + "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200 lo\n"

  @Test(arguments: [
    ("", "", routes, ["198.51.100.3"]), ("", "", header, ["192.0.2.7"]), ("", "eth0", routes, ["192.0.2.7"]),
    ("203.0.113.9", "", routes, ["203.0.113.9"]), ("203.0.113.9, 2001:db8::9", "", routes, ["203.0.113.9", "2001:db8::9"]),
    ("::", "", routes, ["2001:db8::7"]), ("0.0.0.0,::", "", routes, ["198.51.100.3", "2001:db8::7"]),
  ])
  func chooses(nodeIP: String, interface: String, ipv4: String, expected: [String]) throws {
    let chosen = try HostAddresses.choose(
      nodeIP: nodeIP, interface: interface, addresses: addresses, routes: .init(ipv4: ipv4, ipv6: Self.routes6))
    #expect(chosen == expected)
  }

  @Test(arguments: [("nonsense", ""), ("", "eth9"), ("", "lo")])
  func refuses(nodeIP: String, interface: String) {
    #expect(throws: NodeMachine.Failure.self) {
      try HostAddresses.choose(nodeIP: nodeIP, interface: interface, addresses: addresses, routes: .init(ipv4: "", ipv6: ""))
    }
  }

  @Test func findsLoopbackOnThisMachine() {
    #expect(HostAddresses.addresses().contains { $0.text == "127.0.0.1" && !$0.isGlobal && !$0.isIPv6 })
  }
}
