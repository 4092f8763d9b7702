/// What passed through the interfaces of a network namespace.
struct NetworkUsage: Sendable, Hashable {
  struct Interface: Sendable, Hashable {
    var name: String
    var receivedBytes: UInt64
    var receiveErrors: UInt64
    var sentBytes: UInt64
    var sendErrors: UInt64
  }

  /// All but the loopback.
  var interfaces: [Interface]
  /// The one that leads out of the namespace.
  var main: Interface?

  /// - Parameters:
  ///   - devices: the text of `/proc/<pid>/net/dev`.
  ///   - routes: the text of `/proc/<pid>/net/route`.
  init(devices: String, routes: String) {
    interfaces = devices.split(separator: "\n").compactMap { line in
      guard let colon = line.firstIndex(of: ":") else { return nil }
      let name = String(line[..<colon].drop { $0 == " " })
      let counts = line[line.index(after: colon)...].split(separator: " ").map { UInt64($0) ?? 0 }
      guard counts.count >= 11, name != "lo" else { return nil }
      return Interface(
        name: name, receivedBytes: counts[0], receiveErrors: counts[2], sentBytes: counts[8], sendErrors: counts[10])
    }
    // "Iface Destination …": the default route's destination is zero.
    let leading = routes.split(separator: "\n").dropFirst().first { line in
      let words = line.split(whereSeparator: \.isWhitespace)
      return words.count > 1 && words[1] == "00000000"
    }
    let name = leading?.split(whereSeparator: \.isWhitespace).first.map(String.init) ?? "eth0"
    main = interfaces.first { $0.name == name }
  }

  /// Of the namespace that a process is in; nil if it is gone.
  static func read(pid: Int32) -> NetworkUsage? { read(directory: "/proc/\(pid)/net") }

  /// Of the node's own.
  static func ofNode() -> NetworkUsage? { read(directory: "/proc/self/net") }

  private static func read(directory: String) -> NetworkUsage? {
    guard let devices = try? NodeMachine.read(directory + "/dev") else { return nil }
    return NetworkUsage(devices: devices, routes: (try? NodeMachine.read(directory + "/route")) ?? "")
  }
}
