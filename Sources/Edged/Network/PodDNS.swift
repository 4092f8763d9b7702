import KubernetesAPI
import Runtime

/// Makes pods' resolv.conf.
struct PodDNS: Sendable, Hashable {
  /// Addresses of the cluster's DNS servers.
  var clusterDNS: [String]
  /// `cluster.local`; may be empty.
  var clusterDomain: String
  /// The content of the node's resolv.conf; nil if the setting `resolvConf` is empty, so that pods resolve nothing by default.
  var node: ResolverConfig?
  /// Decide which loopback address stands for "no server".
  var nodeIPs: [String]

  /// What the engine gets, and what to tell about it.
  struct Result: Sendable, Hashable {
    var config: CRIDNSConfig
    var events: [DNSEvent]
  }

  static let maximumServers = 3
  static let maximumSearches = 32
  /// Characters of the whole line.
  static let maximumSearchLine = 2048
  /// Some C libraries abort on longer names.
  static let maximumSearchLength = 253

  func config(for pod: Pod) -> Result {
    var events: [DNSEvent] = []
    var config = base(for: pod, &events)
    if let own = pod.spec.dnsConfig {
      config.servers = unique(config.servers + (own.nameservers ?? []))
      config.searches = unique(config.searches + (own.searches ?? []))
      let options = (own.options ?? []).compactMap { option in
        option.name.map { name in option.value.flatMap { $0.isEmpty ? nil : "\(name):\($0)" } ?? name }
      }
      config.options = ResolverConfig.merge(config.options, options)
    }
    limit(&config, &events)
    var result = CRIDNSConfig()
    result.servers = config.servers
    result.searches = config.searches
    result.options = config.options
    return Result(config: result, events: events)
  }

  private func base(for pod: Pod, _ events: inout [DNSEvent]) -> ResolverConfig {
    let policy = pod.spec.dnsPolicy ?? .clusterFirst
    switch policy {
    case .none: return ResolverConfig()
    case .default: return host
    case .clusterFirst where pod.spec.hostNetwork == true: return host
    case .clusterFirst, .clusterFirstWithHostNet: break
    }
    guard !clusterDNS.isEmpty else {
      let message =
        "kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. "
        + "Falling back to \"Default\" policy."
      events.append(DNSEvent(subject: .node, reason: .missingClusterDNS, message: message))
      events.append(DNSEvent(subject: .pod, reason: .missingClusterDNS, message: "pod: \"\(pod.identity)\". \(message)"))
      return host
    }
    let domains = clusterDomain.isEmpty ? [] : ["\(pod.namespace).svc.\(clusterDomain)", "svc.\(clusterDomain)", clusterDomain]
    return ResolverConfig(servers: clusterDNS, searches: unique(domains + (node?.searches ?? [])), options: ["ndots:5"])
  }

  private var host: ResolverConfig {
    if let node { return node }
    let servers = nodeIPs.map { IPAddress.isIPv6($0) ? "::1" : "127.0.0.1" }
    return ResolverConfig(servers: servers.isEmpty ? ["127.0.0.1"] : servers, searches: ["."])
  }

  private func limit(_ config: inout ResolverConfig, _ events: inout [DNSEvent]) {
    if config.servers.count > Self.maximumServers {
      config.servers = Array(config.servers.prefix(Self.maximumServers))
      events.append(
        DNSEvent(
          subject: .pod, reason: .dnsConfigForming,
          message: "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: "
            + config.servers.joined(separator: " ")))
    }
    var searches = config.searches.prefix(Self.maximumSearches).filter { $0.utf8.count <= Self.maximumSearchLength }
    while searches.joined(separator: " ").utf8.count > Self.maximumSearchLine { searches.removeLast() }
    if searches.count < config.searches.count {
      config.searches = searches
      events.append(
        DNSEvent(
          subject: .pod, reason: .dnsConfigForming,
          message: "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: "
            + searches.joined(separator: " ")))
    }
  }

  private func unique(_ texts: [String]) -> [String] {
    var seen: Set<String> = []
    return texts.filter { seen.insert($0).inserted }
  }
}

/// Something to tell about a pod's DNS; events of this kind are warnings.
struct DNSEvent: Sendable, Hashable {
  enum Subject: Sendable, Hashable { case pod, node }
  enum Reason: String, Sendable, Hashable {
    case missingClusterDNS = "MissingClusterDNS"
    case dnsConfigForming = "DNSConfigForming"
  }

  var subject: Subject
  var reason: Reason
  var message: String
}

extension Pod {
  /// `name_namespace(uid)`, as messages to users have it.
  var identity: String { "\(name)_\(namespace)(\(uid))" }
}
