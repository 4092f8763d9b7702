import ArgumentParser
import LocalAPI
import YAML

struct Stats: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Shows what containers use: CPU over a moment, memory, disk.")

  @OptionGroup var options: GlobalOptions

  @Option(help: "Milliseconds over which CPU use is measured.")
  var interval = 1000

  func run() async throws {
    let client = options.client
    if options.output == .json {
      print(try await client.get("/v1/stats").jsonText(pretty: true))
      return
    }
    let before = try await client.get("/v1/stats", as: [ContainerUsage].self)
    try await Task.sleep(for: .milliseconds(max(100, interval)))
    let after = try await client.get("/v1/stats", as: [ContainerUsage].self)
    let first = Dictionary(before.map { ($0.id, $0) }) { $1 }
    var table = Table("NAMESPACE", "POD", "CONTAINER", "CPU(m)", "MEMORY", "DISK")
    for usage in after {
      var cpu = "-"
      if let earlier = first[usage.id], usage.time > earlier.time, usage.cpuNanoseconds >= earlier.cpuNanoseconds {
        cpu = String((usage.cpuNanoseconds - earlier.cpuNanoseconds) * 1000 / UInt64(usage.time - earlier.time))
      }
      table.add(usage.namespace, usage.pod, usage.container, cpu, bytes(usage.memoryWorkingSet), bytes(usage.writableLayer))
    }
    print(table.rows.isEmpty ? "No containers." : table.text)
  }
}
