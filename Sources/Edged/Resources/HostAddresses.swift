import CLinux
import Glibc

/// The node's own addresses.
enum HostAddresses {
  /// An address of one of the host's network interfaces.
  struct Address: Sendable, Hashable {
    var interface: String
    var text: String
    var isIPv6: Bool
    /// Reachable from elsewhere: neither loopback nor of the link alone.
    var isGlobal: Bool
  }

  /// Where the kernel keeps its routes, as text.
  struct Routes: Sendable, Hashable {
    /// `/proc/net/route`
    var ipv4: String
    /// `/proc/net/ipv6_route`
    var ipv6: String
  }

  /// The addresses of the node, primary first.
  /// - Parameters:
  ///   - nodeIP: The setting: addresses separated by commas, or `0.0.0.0` or `::` for the default route's of that family, or empty.
  ///   - interface: `customInterfaceName`; it overrides `nodeIP` unless empty.
  static func read(nodeIP: String, interface: String = "", proc: String = "/proc") throws(NodeMachine.Failure) -> [String] {
    let routes = Routes(
      ipv4: (try? NodeMachine.read(proc + "/net/route")) ?? "", ipv6: (try? NodeMachine.read(proc + "/net/ipv6_route")) ?? "")
    return try choose(nodeIP: nodeIP, interface: interface, addresses: addresses(), routes: routes)
  }

  static func choose(
    nodeIP: String, interface: String, addresses: [Address], routes: Routes
  ) throws(NodeMachine.Failure) -> [String] {
    if !interface.isEmpty {
      let own = addresses.filter { $0.interface == interface && $0.isGlobal }
      guard let address = own.first(where: { !$0.isIPv6 }) ?? own.first else {
        throw NodeMachine.Failure(description: "the network interface \(interface) has no address")
      }
      return [address.text]
    }
    let wished = nodeIP.split(separator: ",").map { String($0.drop(while: \.isWhitespace).prefix { !$0.isWhitespace }) }
    if wished.isEmpty {
      return [defaultAddress(ipv6: false, addresses, routes) ?? defaultAddress(ipv6: true, addresses, routes)].compactMap(\.self)
    }
    var chosen: [String] = []
    for address in wished {
      switch address {
      case "0.0.0.0": chosen += [defaultAddress(ipv6: false, addresses, routes)].compactMap(\.self)
      case "::": chosen += [defaultAddress(ipv6: true, addresses, routes)].compactMap(\.self)
      case _ where IPAddress.isValid(address): chosen.append(address)
      default: throw NodeMachine.Failure(description: "nodeIP \"\(address)\" is no IP address")
      }
    }
    return chosen
  }

  /// The first global address of the default route's interface, else of any interface but those of pods: a node that starts
  /// offline may have no default route.
  private static func defaultAddress(ipv6: Bool, _ addresses: [Address], _ routes: Routes) -> String? {
    let candidates = addresses.filter { $0.isIPv6 == ipv6 && $0.isGlobal }
    for interface in ipv6 ? defaultInterfaces(ipv6: routes.ipv6) : defaultInterfaces(ipv4: routes.ipv4) {
      if let address = candidates.first(where: { $0.interface == interface }) { return address.text }
    }
    let ofPods = ["veth", "docker", "cni", "flannel", "cali", "br-", "virbr", "cbr", "edgemesh", "tunl"]
    return candidates.first { candidate in !ofPods.contains { candidate.interface.hasPrefix($0) } }?.text
  }

  /// Interfaces of default routes, best first.
  static func defaultInterfaces(ipv4 table: String) -> [String] {
    var routes: [(metric: Int, interface: String)] = []
    for line in table.split(separator: "\n").dropFirst() {
      let fields = line.split(whereSeparator: \.isWhitespace)
      // Destination and mask are zero; flag 1: the route is up.
      guard fields.count >= 8, fields[1] == "00000000", fields[7] == "00000000", let flags = Int(fields[3], radix: 16), flags & 1 == 1
      else { continue }
      routes.append((Int(fields[6]) ?? 0, String(fields[0])))
    }
    return routes.sorted { $0.metric < $1.metric }.map(\.interface)
  }

  static func defaultInterfaces(ipv6 table: String) -> [String] {
    var routes: [(metric: Int, interface: String)] = []
    for line in table.split(separator: "\n") {
      let fields = line.split(whereSeparator: \.isWhitespace)
      guard fields.count >= 10, fields[0].allSatisfy({ $0 == "0" }), fields[1] == "00", fields[9] != "lo",
        let flags = Int(fields[8], radix: 16), flags & 1 == 1
      else { continue }
      routes.append((Int(fields[5], radix: 16) ?? 0, String(fields[9])))
    }
    return routes.sorted { $0.metric < $1.metric }.map(\.interface)
  }

  /// The addresses of all interfaces that are up.
  static func addresses() -> [Address] {
    var first: UnsafeMutablePointer<ifaddrs>?
    // IFF_UP: an enumeration in one header and a macro in another.
    let isUp: UInt32 = 1
    guard getifaddrs(&first) == 0 else { return [] }
    defer { freeifaddrs(first) }
    var found: [Address] = []
    var next = first
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard let socketAddress = entry.ifa_addr, entry.ifa_flags & isUp != 0, let name = entry.ifa_name else { continue }
      let interface = String(cString: name)
      switch Int32(socketAddress.pointee.sa_family) {
      case AF_INET:
        let address = socketAddress.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee.sin_addr }
        let bytes = withUnsafeBytes(of: address) { Array($0) }
        let isLocal = bytes[0] == 127 || bytes[0] == 0 || bytes[0] >= 224 || (bytes[0] == 169 && bytes[1] == 254)
        found.append(Address(interface: interface, text: IPAddress.text(AF_INET, bytes), isIPv6: false, isGlobal: !isLocal))
      case AF_INET6:
        let address = socketAddress.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) { $0.pointee.sin6_addr }
        let bytes = withUnsafeBytes(of: address) { Array($0) }
        let isLocal = bytes[0] == 0xFF || (bytes[0] == 0xFE && bytes[1] & 0xC0 == 0x80) || bytes[..<15].allSatisfy { $0 == 0 }
        found.append(Address(interface: interface, text: IPAddress.text(AF_INET6, bytes), isIPv6: true, isGlobal: !isLocal))
      default: continue
      }
    }
    return found
  }
}

/// IP addresses as text.
enum IPAddress {
  static func isValid(_ text: String) -> Bool { isIPv4(text) || isIPv6(text) }

  static func isIPv4(_ text: String) -> Bool {
    var address = in_addr()
    return inet_pton(AF_INET, text, &address) == 1
  }

  static func isIPv6(_ text: String) -> Bool {
    var address = in6_addr()
    return inet_pton(AF_INET6, text, &address) == 1
  }

  /// - Parameter bytes: 4 or 16, after the family.
  static func text(_ family: Int32, _ bytes: [UInt8]) -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    guard inet_ntop(family, bytes, &buffer, socklen_t(buffer.count)) != nil else { return "" }
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
