import KubernetesAPI
import Runtime
import Testing

@testable import Edged

struct PodHostnameTests {
  private func name(_ spec: String, pod: String = "web") throws -> PodHostname {
    var value = try Pod.yaml("containers: [{name: a}]\n" + spec)
    value.metadata.name = pod
    return try PodHostname(value, clusterDomain: "cluster.local")
  }

  @Test(arguments: [
    ("", "web", "", "web"), ("hostname: h", "h", "", "h"), ("{}", "web", "", "web"),
    ("{hostname: h, subdomain: s}", "h", "s.shop.svc.cluster.local", "h"),
    ("{hostname: h, subdomain: s, setHostnameAsFQDN: true}", "h", "s.shop.svc.cluster.local", "h.s.shop.svc.cluster.local"),
    ("setHostnameAsFQDN: true", "web", "", "web"), ("hostNetwork: true", "web", "", ""),
    ("{hostnameOverride: other.example.org, hostname: h, subdomain: s}", "other.example.org", "", "other.example.org"),
  ])
  func names(spec: String, hostname: String, domain: String, kernel: String) throws {
    let fields = spec.hasPrefix("{") ? spec.dropFirst().dropLast().split(separator: ", ").joined(separator: "\n") : spec
    let result = try name(fields)
    #expect(result.hostname == hostname)
    #expect(result.domain == domain)
    #expect(result.kernelName == kernel)
  }

  @Test func longNamesAreCut() throws {
    let long = String(repeating: "a", count: 60) + "--.-bcd"
    #expect(try name("", pod: long).hostname == String(repeating: "a", count: 60))
    #expect(try name("", pod: String(repeating: "b", count: 70)).hostname == String(repeating: "b", count: 63))
    #expect(try name("", pod: String(repeating: "c", count: 63)).hostname == String(repeating: "c", count: 63))
  }

  @Test func theKernelsLimitIs64() throws {
    // 63 with the domain `.s.shop.svc.cluster.local`.
    let fits = String(repeating: "h", count: 64 - ".s.shop.svc.cluster.local".count)
    #expect(try name("hostname: \(fits)\nsubdomain: s\nsetHostnameAsFQDN: true").kernelName.count == 64)
    let error = #expect(throws: PodHostname.Invalid.self) { try name("hostname: \(fits)h\nsubdomain: s\nsetHostnameAsFQDN: true") }
    #expect(error?.description.hasSuffix("is too long (64 characters is the max, 65 characters requested)") == true)
  }

  @Test(arguments: ["hostname: Upper", "hostname: -a", "hostname: a-", "hostname: a.b", "subdomain: a_b"])
  func refusesWhatIsNoLabel(spec: String) { #expect(throws: PodHostname.Invalid.self) { try name(spec) } }
}

struct HostsFileTests {
  private static let head =
    "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
    + "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"

  @Test func ofAPod() {
    #expect(
      HostsFile.content(podIPs: ["10.0.0.5", "fd00::5"], hostname: "web", domain: "", aliases: [])
        == Self.head + "10.0.0.5\tweb\nfd00::5\tweb\n")
    #expect(
      HostsFile.content(
        podIPs: ["10.0.0.5"], hostname: "web", domain: "s.shop.svc.cluster.local",
        aliases: [HostAlias(ip: "123.45.67.89", hostnames: ["foo", "bar"]), HostAlias(ip: "::2", hostnames: ["baz"])])
        == Self.head + "10.0.0.5\tweb.s.shop.svc.cluster.local\tweb\n\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n::2\tbaz\n")
  }

  @Test func inTheHostsNetwork() {
    #expect(
      HostsFile.content(nodeFile: "127.0.0.1 localhost\n", aliases: [HostAlias(ip: "1.2.3.4", hostnames: ["x"])])
        == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n\n# Entries added by HostAliases.\n1.2.3.4\tx\n")
    #expect(
      HostsFile.content(nodeFile: "127.0.0.1 localhost\n", aliases: [])
        == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n")
  }
}

struct ResolverConfigTests {
  @Test func parses() {
    let config = ResolverConfig(
      parsing: """
        # nameserver 9.9.9.9
        ; nameserver 8.8.8.8
        nameserver 192.0.2.1
          nameserver\t192.0.2.2 ignored
        nameserver
        search old.example
        domain other
        search a.example. b.example .
        options ndots:1 timeout:2
        options rotate ndots:3
        """)
    #expect(config.servers == ["192.0.2.1", "192.0.2.2"])
    #expect(config.searches == ["a.example", "b.example", "."])
    #expect(config.options == ["ndots:3", "timeout:2", "rotate"])
  }
}

struct PodDNSTests {
  private func dns(cluster: [String] = ["10.96.0.10"], node: ResolverConfig? = Self.node) -> PodDNS {
    PodDNS(clusterDNS: cluster, clusterDomain: "cluster.local", node: node, nodeIPs: ["192.0.2.7"])
  }
  private static let node = ResolverConfig(servers: ["192.0.2.1"], searches: ["example"], options: ["rotate"])
  private static let clusterSearches = ["shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "example"]

  private func text(_ result: PodDNS.Result) -> [[String]] { [result.config.servers, result.config.searches, result.config.options] }

  @Test(arguments: [
    ("", [["10.96.0.10"], clusterSearches, ["ndots:5"]]),
    ("dnsPolicy: ClusterFirst", [["10.96.0.10"], clusterSearches, ["ndots:5"]]),
    ("dnsPolicy: ClusterFirst\nhostNetwork: true", [["192.0.2.1"], ["example"], ["rotate"]]),
    ("dnsPolicy: ClusterFirstWithHostNet\nhostNetwork: true", [["10.96.0.10"], clusterSearches, ["ndots:5"]]),
    ("dnsPolicy: Default", [["192.0.2.1"], ["example"], ["rotate"]]),
    ("dnsPolicy: None", [[], [], []]),
    (
      "dnsPolicy: None\ndnsConfig: {nameservers: [1.1.1.1], searches: [x], options: [{name: ndots, value: '2'}, {name: edns0}]}",
      [["1.1.1.1"], ["x"], ["ndots:2", "edns0"]]
    ),
    (
      "dnsConfig: {nameservers: [10.96.0.10, 1.1.1.1], searches: [example, x], options: [{name: ndots, value: '2'}, {name: rotate}]}",
      [["10.96.0.10", "1.1.1.1"], clusterSearches + ["x"], ["ndots:2", "rotate"]]
    ),
  ])
  func policies(spec: String, expected: [[String]]) throws {
    let result = dns().config(for: try Pod.yaml("containers: [{name: a}]\n" + spec))
    #expect(text(result) == expected)
    #expect(result.events.isEmpty)
  }

  @Test func withoutClusterDNSTheNodesIsUsed() throws {
    let result = dns(cluster: []).config(for: try Pod.yaml("containers: [{name: a}]"))
    #expect(text(result) == [["192.0.2.1"], ["example"], ["rotate"]])
    let message =
      "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. "
      + "Falling back to \"Default\" policy."
    #expect(
      result.events == [
        DNSEvent(subject: .node, reason: .missingClusterDNS, message: message),
        DNSEvent(subject: .pod, reason: .missingClusterDNS, message: "pod: \"web_shop(u-1)\". " + message),
      ])
  }

  @Test func withoutAFileNothingIsResolved() throws {
    let pod = try Pod.yaml("{dnsPolicy: Default, containers: [{name: a}]}")
    #expect(text(dns(node: nil).config(for: pod)) == [["127.0.0.1"], ["."], []])
    var dns = dns(node: nil)
    dns.nodeIPs = ["2001:db8::7", "192.0.2.7"]
    #expect(dns.config(for: pod).config.servers == ["::1", "127.0.0.1"])
    dns.nodeIPs = []
    #expect(dns.config(for: pod).config.servers == ["127.0.0.1"])
  }

  @Test func limits() throws {
    let pod = try Pod.yaml("{dnsPolicy: Default, containers: [{name: a}]}")
    let servers = dns(node: ResolverConfig(servers: ["1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"])).config(for: pod)
    #expect(servers.config.servers == ["1.1.1.1", "2.2.2.2", "3.3.3.3"])
    #expect(
      servers.events.map(\.message) == [
        "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3"
      ])

    let many = dns(node: ResolverConfig(searches: (0..<40).map { "d\($0)" })).config(for: pod)
    #expect(many.config.searches == (0..<32).map { "d\($0)" })
    #expect(many.events.first?.message.hasPrefix("Search Line limits were exceeded, some search paths have been omitted") == true)
    #expect(many.events.map(\.reason) == [.dnsConfigForming])

    // 8 names of 253 characters and 7 blanks are 2031; a ninth doesn't fit.
    let long = (0..<9).map { String(repeating: "x", count: 252) + "\($0)" }
    #expect(dns(node: ResolverConfig(searches: long)).config(for: pod).config.searches == Array(long.prefix(8)))
    let tooLong = String(repeating: "y", count: 254)
    #expect(dns(node: ResolverConfig(searches: [tooLong, "z"])).config(for: pod).config.searches == ["z"])
    #expect(dns(node: ResolverConfig(searches: (0..<32).map { "d\($0)" })).config(for: pod).events.isEmpty)
  }
}

struct HostPortTests {
  private func pod(_ ports: String, uid: String = "u-2", hostNetwork: Bool = false) throws -> Pod {
    var pod = try Pod.yaml("{hostNetwork: \(hostNetwork), containers: [{name: a, ports: [\(ports)]}]}")
    pod.metadata.uid = uid
    return pod
  }

  @Test(arguments: [
    ("{containerPort: 1, hostPort: 80}", true), ("{containerPort: 1, hostPort: 80, hostIP: 127.0.0.1}", true),
    ("{containerPort: 1, hostPort: 80, hostIP: 0.0.0.0}", true), ("{containerPort: 1, hostPort: 80, protocol: UDP}", false),
    ("{containerPort: 80}", false), ("{containerPort: 1, hostPort: 81}", false),
  ])
  func conflicts(ports: String, conflicts: Bool) throws {
    let taken = try pod("{containerPort: 9, hostPort: 80, protocol: TCP}", uid: "u-1")
    let rejection = HostPort.admit(try pod(ports), beside: [taken])
    #expect((rejection != nil) == conflicts)
    if let rejection {
      #expect(rejection.reason == "NodePorts")
      #expect(rejection.message == "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports")
    }
  }

  @Test func addressesKeepPortsApart() throws {
    let first = try pod("{containerPort: 1, hostPort: 80, hostIP: 127.0.0.1}", uid: "u-1")
    #expect(HostPort.admit(try pod("{containerPort: 1, hostPort: 80, hostIP: 127.0.0.2}"), beside: [first]) == nil)
    #expect(HostPort.admit(try pod("{containerPort: 1, hostPort: 80, hostIP: 127.0.0.1}"), beside: [first]) != nil)
    #expect(HostPort.admit(first, beside: [first]) == nil)
  }

  @Test func theHostsNetworkTakesContainerPorts() throws {
    let first = try pod("{containerPort: 80}", uid: "u-1", hostNetwork: true)
    #expect(HostPort.admit(try pod("{containerPort: 1, hostPort: 80}"), beside: [first]) != nil)
  }

  @Test func aPortTwiceInOneContainerIsOne() throws {
    let pod = try pod("{containerPort: 80}, {containerPort: 80}, {containerPort: 80, protocol: UDP}, {name: web, containerPort: 80}")
    #expect(PortMappings.of(pod).map { "\($0.protocol)" } == ["tcp", "udp", "tcp"])
  }
}
