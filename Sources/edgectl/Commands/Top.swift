import ArgumentParser
import Glibc
import LocalAPI
import YAML

struct Top: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Shows what pods and the node use: CPU over a moment, memory, disk.", subcommands: [TopPods.self, TopNode.self],
    defaultSubcommand: TopPods.self)
}

/// What both kinds of tables take.
struct TopOptions: ParsableArguments {
  @OptionGroup var options: GlobalOptions

  @Option(help: "Milliseconds over which CPU use is measured, at least 1000.")
  var interval = 1000

  /// The node's `/stats/summary`, with the CPU use of the time since this was called.
  func summary() async throws -> JSONValue {
    let client = options.client
    _ = try await client.get("/v1/stats")
    // The agent tells a rate over no less than a second.
    try await Task.sleep(for: .milliseconds(max(1000, interval) + 10))
    return try await client.get("/v1/stats")
  }
}

struct TopPods: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "pods", abstract: "What pods use.", aliases: ["pod"])

  enum Order: String, ExpressibleByArgument, CaseIterable, Sendable { case name, cpu, memory }

  @OptionGroup var top: TopOptions

  @Option(name: .shortAndLong, help: "Only pods of this namespace.")
  var namespace: String?

  @Flag(help: "A line for each container.")
  var containers = false

  @Option(help: "What the lines are sorted by.")
  var sortBy = Order.name

  func run() async throws {
    let summary = try await top.summary()
    if top.options.output == .json {
      print(summary.jsonText(pretty: true))
      return
    }
    var lines: [Line] = []
    for pod in summary["pods"]?.array ?? [] {
      let name = [pod["podRef"]?["namespace"]?.string ?? "", pod["podRef"]?["name"]?.string ?? ""]
      if let namespace, name[0] != namespace { continue }
      if containers {
        for container in pod["containers"]?.array ?? [] {
          lines.append(Line(names: name + [container["name"]?.string ?? ""], container, disk: container["rootfs"]))
        }
      } else {
        lines.append(Line(names: name, pod, disk: pod["ephemeral-storage"]))
      }
    }
    switch sortBy {
    case .name: lines.sort { $0.names.lexicographicallyPrecedes($1.names) }
    case .cpu: lines.sort { ($0.use.nanoCores ?? 0) > ($1.use.nanoCores ?? 0) }
    case .memory: lines.sort { ($0.use.memory ?? 0) > ($1.use.memory ?? 0) }
    }
    var table = Table(header: ["NAMESPACE", "POD"] + (containers ? ["CONTAINER"] : []) + ["CPU(cores)", "MEMORY", "DISK"])
    for line in lines { table.rows.append(line.names + [line.use.cores, line.use.bytesOfMemory, line.disk]) }
    print(table.rows.isEmpty ? "No pods." : table.text)
  }

  private struct Line {
    var names: [String]
    var use: Use
    var disk: String

    init(names: [String], _ fields: JSONValue, disk: JSONValue?) {
      self.names = names
      use = Use(fields)
      self.disk = disk?["usedBytes"]?.unsigned.map(bytes) ?? "-"
    }
  }
}

struct TopNode: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "node", abstract: "What the node, its pods and the agent use.", aliases: ["nodes"])

  @OptionGroup var top: TopOptions

  func run() async throws {
    let summary = try await top.summary()
    if top.options.output == .json {
      print((summary["node"] ?? .null).jsonText(pretty: true))
      return
    }
    let node = summary["node"] ?? .null
    let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let memory = (node["memory"]?["availableBytes"]?.unsigned ?? 0) + (Use(node).memory ?? 0)
    var table = Table("NAME", "CPU(cores)", "CPU(%)", "MEMORY", "MEMORY(%)")
    func add(_ name: String, _ use: Use) {
      table.add(
        name, use.cores, use.nanoCores.map { "\($0 / UInt64(cores) / 10_000_000)%" } ?? "-", use.bytesOfMemory,
        memory == 0 ? "-" : use.memory.map { "\($0 * 100 / memory)%" } ?? "-")
    }
    add(node["nodeName"]?.string ?? "", Use(node))
    for part in node["systemContainers"]?.array ?? [] {
      add(part["name"]?.string == "kubelet" ? "  edgecore" : "  " + (part["name"]?.string ?? ""), Use(part))
    }
    print(table.text)
  }
}

/// CPU and memory of a pod, a container or the node.
private struct Use {
  /// Billionths of a core.
  var nanoCores: UInt64?
  /// The working set in bytes.
  var memory: UInt64?

  init(_ fields: JSONValue) {
    nanoCores = fields["cpu"]?["usageNanoCores"]?.unsigned
    memory = fields["memory"]?["workingSetBytes"]?.unsigned
  }

  var cores: String { nanoCores.map { "\($0 / 1_000_000)m" } ?? "-" }
  var bytesOfMemory: String { memory.map(bytes) ?? "-" }
}

extension JSONValue {
  fileprivate var unsigned: UInt64? { if case .number(let text) = self { UInt64(text) } else { nil } }
}
