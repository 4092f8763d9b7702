import ArgumentParser
import YAML

struct Apply: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Create or update the objects of a YAML or JSON file.")

  @OptionGroup var cloud: CloudOptions

  @Option(name: .shortAndLong, help: "The namespace of objects that name none.")
  var namespace: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("The same as the argument, as kubectl has it.", valueName: "file"))
  var filename: String?

  @Argument(help: "The file; - is the standard input.")
  var file: String?

  mutating func validate() throws {
    guard (file == nil) != (filename == nil) else { throw ValidationError("give one file; - is the standard input") }
  }

  mutating func run() async throws {
    var bytes = try InputFile.read(file ?? filename ?? "-")
    if let namespace {
      let documents = try YAML.documents(bytes).map(\.value).filter { $0 != .null }
      bytes = JSONValue.object([
        .init("kind", .string("List")), .init("apiVersion", .string("v1")),
        .init("items", .array(documents.map { $0.inNamespace(namespace) })),
      ]).jsonBytes()
    }
    for object in try await cloud.client.json("POST", "/apply", body: bytes).array ?? [] {
      print("\((object["kind"]?.string ?? "").lowercased())/\(object["metadata"]?["name"]?.string ?? "") applied")
    }
  }
}

struct Get: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show objects.")

  enum Output: String, CaseIterable, ExpressibleByArgument { case table, json }

  @OptionGroup var cloud: CloudOptions

  @Option(name: .shortAndLong, help: "Only of this namespace; for one object default is meant.")
  var namespace: String?

  @Option(name: .shortAndLong, help: "json shows all that there is.")
  var output = Output.table

  @Argument(help: "pods, nodes, configmaps, events …")
  var kind: String

  @Argument(help: "The object's name.")
  var name: String?

  mutating func run() async throws {
    var objects: [JSONValue]
    if let name {
      objects = [try await cloud.client.json("GET", "/objects/\(kind)/\(namespace ?? "default")/\(name)")]
      if output == .json { return print(objects[0].jsonText(pretty: true)) }
    } else {
      objects = try await cloud.client.json("GET", "/objects/\(kind)").array ?? []
      if let namespace { objects = objects.filter { $0["metadata"]?["namespace"]?.string == namespace } }
      if output == .json {
        return print(
          JSONValue.object([
            .init("kind", .string("List")), .init("apiVersion", .string("v1")), .init("items", .array(objects)),
          ]).jsonText(pretty: true))
      }
    }
    let connected = kind.hasPrefix("no") ? try await cloud.client.json("GET", "/connected").array ?? [] : []
    print(ObjectTable.text(objects, connected: connected.compactMap(\.string)))
  }
}

struct Delete: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Delete an object.")

  @OptionGroup var cloud: CloudOptions

  @Option(name: .shortAndLong, help: "The object's namespace.")
  var namespace = "default"

  @Option(help: "Seconds that a pod has to end; 0 takes it away at once.")
  var gracePeriod: Int64?

  @Argument(help: "pod, node, configmap …")
  var kind: String

  @Argument(help: "The object's name.")
  var name: String

  mutating func run() async throws {
    let query = gracePeriod.map { "?gracePeriod=\($0)" } ?? ""
    try await cloud.client.call("DELETE", "/objects/\(kind)/\(namespace)/\(name)\(query)")
    print("\(kind)/\(name) deleted")
  }
}

struct Token: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print a token that a node joins with.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws { print(String(decoding: try await cloud.client.call("GET", "/token"), as: UTF8.self)) }
}

struct Nodes: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "List the nodes that are connected.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws {
    for name in try await cloud.client.json("GET", "/connected").array ?? [] { print(name.string ?? "") }
  }
}

struct Cut: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Close all connections and stop listening; objects can still be changed.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws {
    try await cloud.client.call("POST", "/cut")
    print("the cloud is away; restore brings it back")
  }
}

struct Restore: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Listen again after a cut.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws {
    try await cloud.client.call("POST", "/restore")
    print("the cloud is back; nodes come again within seconds")
  }
}

struct Messages: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Print what went over the wire, one message a line.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws {
    print(String(decoding: try await cloud.client.call("GET", "/messages"), as: UTF8.self), terminator: "")
  }
}

struct Unacknowledged: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Show objects of which a node has not acknowledged the newest version.")

  @OptionGroup var cloud: CloudOptions

  mutating func run() async throws {
    for item in try await cloud.client.json("GET", "/unacknowledged").array ?? [] { print(item.jsonText()) }
  }
}

extension JSONValue {
  /// The object, or each item of a list, with that namespace if it names none.
  func inNamespace(_ namespace: String) -> JSONValue {
    var object = self
    if let items = object["items"]?.array, object["kind"]?.string?.hasSuffix("List") == true {
      object["items"] = .array(items.map { $0.inNamespace(namespace) })
    } else if object["metadata"]?["namespace"] == nil {
      object["metadata"]?["namespace"] = .string(namespace)
    }
    return object
  }
}
