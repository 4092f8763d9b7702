import ArgumentParser

/// Feeds broken input to the parts of the agent that others write to; they have to go on working.
@main
struct Fuzz: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fuzz", abstract: "Feeds mutated input to parts of the agent.",
    subcommands: [CloudMessages.self, DeviceMessages.self, BusMessages.self])
}
