import ArgumentParser
import Foundation
import Glibc

/// Measures the agent on this machine and prints a table of results beside their bars.
@main
struct Benchmarks: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "benchmarks",
    abstract: "Measures the agent on this machine; prints a Markdown table.",
    discussion: """
      Pods run on engines of this program's own (hack/engine.sh), which are gone afterwards. Needs root, except for --only channel, size and servicebus.
      """)

  enum Part: String, ExpressibleByArgument, CaseIterable {
    case channel, start, idle, exit, boot, size, cloud, servicebus
  }

  @Option(help: "Measure only this; may be given several times.")
  var only: [Part] = []

  @Option(help: "Only this engine.")
  var engine: Engine.Kind?

  @Option(help: "The agent's program; without it a release build of it is made.")
  var edgecore: String?

  @Option(help: "How long an idle agent is watched. The bars are for a minute.")
  var idleSeconds = 60

  mutating func validate() throws {
    guard idleSeconds > 0 else { throw ValidationError("--idle-seconds is at least 1") }
    if let edgecore, access(edgecore, X_OK) != 0 { throw ValidationError("--edgecore \(edgecore) is no program") }
  }

  func run() async throws {
    let work = Task { try await measure() }
    // What was begun is cleaned up when the measuring task is cancelled.
    let signals = [SIGINT, SIGTERM, SIGHUP].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { work.cancel() }
      source.resume()
      return source
    }
    defer { for source in signals { source.cancel() } }
    try await work.value
  }

  private func measure() async throws {
    let parts = Set(only.isEmpty ? Part.allCases : only)
    let engines = engine.map { [$0] } ?? Engine.Kind.allCases
    var report = Report()
    if parts.contains(.channel) { try await ChannelBenchmark().run(into: &report) }
    guard parts != [.channel] else { return report.print() }
    let program = try await AgentProgram.find(edgecore)
    if parts.contains(.size) { try await program.reportSize(into: &report) }
    if parts.contains(.servicebus) { try await ServiceBusBenchmark(program: program.path).run(into: &report) }
    guard parts.subtracting([.channel, .size, .servicebus]).isEmpty || geteuid() == 0 else { throw Failure("running pods needs root") }
    do {
      if parts.contains(.boot) { try await BootBenchmark(program: program.path).run(into: &report) }
      for engine in engines where parts.contains(.start) {
        try await PodStartBenchmark(engine: engine, program: program.path).run(into: &report)
      }
      for engine in engines where parts.contains(.exit) {
        try await ExitBenchmark(engine: engine, program: program.path).run(into: &report)
      }
      if parts.contains(.idle), engine != .docker {
        try await IdleBenchmark(program: program.path, seconds: idleSeconds).run(into: &report)
      }
      if parts.contains(.cloud), engine != .docker {
        try await CloudBenchmark(program: program.path, idleSeconds: idleSeconds).run(into: &report)
      }
    } catch {
      // What was measured so far is worth its time.
      report.print()
      throw error
    }
    report.print()
  }
}

struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// Tells what goes on; the table alone goes to the standard output.
func progress(_ text: String) {
  FileHandle.standardError.write(Data("\(text)\n".utf8))
}
