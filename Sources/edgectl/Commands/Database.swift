import ArgumentParser
import LocalAPI
import YAML

struct Database: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "db", abstract: "Looks into the agent's store.", subcommands: [List.self, Get.self, Integrity.self],
    defaultSubcommand: List.self)

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Lists what is stored.")

    @Argument(help: "Only rows of this type: pod, configmap, secret, node …")
    var type: String?

    @OptionGroup var options: GlobalOptions

    func run() async throws {
      let rows = try await options.client.get("/v1/db/rows", as: [StoredRow].self).filter { type == nil || $0.type == type }
      if options.output == .json {
        print(try JSONValue(encoding: rows).jsonText(pretty: true))
        return
      }
      var table = Table("TYPE", "SIZE", "KEY")
      for row in rows { table.add(row.type, bytes(UInt64(row.size)), row.key) }
      print(table.text)
    }
  }

  struct Get: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Prints a stored object; the values of secrets and tokens are left out.")

    @Argument(help: "The key as db list shows it, e.g. default/pod/shop.")
    var key: String

    @OptionGroup var options: GlobalOptions

    func run() async throws {
      let object = try await options.client.get("/v1/db/row?key=\(queryEscaped(key))")
      print(options.output == .json ? object.jsonText(pretty: true) : YAML.text(object) { _ in nil }, terminator: "\n")
    }
  }

  struct Integrity: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Checks the structure of the store's file.")

    @OptionGroup var options: GlobalOptions

    func run() async throws {
      let answer = try await options.client.get("/v1/db/integrity")
      if options.output == .json {
        print(answer.jsonText(pretty: true))
        return
      }
      let path = answer["path"]?.string ?? ""
      let damages = (answer["damages"]?.array ?? []).compactMap(\.string)
      if damages.isEmpty {
        print("\(path) is sound")
      } else {
        print("\(path) is damaged:")
        for damage in damages { print("  \(damage)") }
        throw ExitCode.failure
      }
    }
  }
}
