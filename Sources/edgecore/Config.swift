import ArgumentParser
import Core
import YAML

struct Config: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "config", abstract: "Works with configurations.", subcommands: [Check.self])

  struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Checks a configuration and prints it as it takes effect, with the source of each value that isn't the default.")

    @OptionGroup var source: ConfigurationOptions

    func run() throws {
      print(try source.load().summary, terminator: "")
    }
  }
}

extension LoadedConfiguration {
  /// YAML of all values, with the source of each that isn't the default; secrets are masked.
  var summary: String {
    YAML.text(tree.masked) { path in
      let source = tree.source(of: path)
      return source == .builtIn ? nil : "from \(source)"
    }
  }
}
