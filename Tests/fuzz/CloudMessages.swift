import ArgumentParser
import Core
import FoundationEssentials
import Glibc
import KubernetesAPI
import MetaManager
import YAML

/// Feeds broken messages of a cloud to the decoders and to a whole MetaManager with a database, which has to go on working.
struct CloudMessages: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cloud", abstract: "Feeds mutated messages of a recorded conversation to what reads the cloud's messages.")

  @Option(help: "How long, in seconds.")
  var seconds = 60

  @Argument(help: "The recorded messages, one JSON object a line with the message in `msg`.")
  var recording: String

  func run() async throws {
    let text = try String(contentsOfFile: recording, encoding: .utf8)
    let seeds = text.split(separator: "\n").compactMap { line in (try? JSONValue(json: String(line)))?["msg"]?.jsonBytes() }
    guard !seeds.isEmpty else { throw ValidationError("\(recording) holds no messages") }
    let folder = "/tmp/edgecore-fuzz-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let channel = ChannelContext()
    try channel.register(.metaManager, group: .meta)
    try channel.register(.websocket, group: .hub)
    let manager = MetaManager(path: folder + "/edgecore.db", nodeName: "go-edge", configuration: .init(), channel: channel)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await manager.run() }
      tasks.addTask {
        // The cloud's end: it takes everything and answers nothing but what has to be found out about a connection.
        for await message in channel.messages(for: .websocket) where message.header.sync {
          let error = MetadataError(.offline, "nobody is there").content
          channel.respond(to: message, with: .reply(to: message, operation: .error, content: error))
        }
      }
      try await feed(seeds, to: channel)
      tasks.cancelAll()
      do { while try await tasks.next() != nil {} } catch is CancellationError {}
    }
  }

  private func feed(_ seeds: [[UInt8]], to channel: ChannelContext) async throws {
    var mutation = Mutation()
    let end = ContinuousClock.now + .seconds(seconds)
    var fed = 0
    var messages = 0
    while ContinuousClock.now < end {
      for _ in 0..<1000 {
        let bytes = mutation.mutated(seeds.randomElement() ?? [], with: seeds.randomElement() ?? [])
        fed += 1
        guard let message = try? Message(wire: bytes) else { continue }
        messages += 1
        _ = try? message.decodeContent(Pod.self)
        _ = try? message.decodeContent(Node.self)
        _ = try? message.decodeContent(Lease.self)
        _ = try? message.decodeContent(ConfigMap.self)
        _ = try? message.decodeContent(Secret.self)
        try await channel.send(message, to: .metaManager)
      }
      // It still does its work.
      let question = Message(route: .init(source: "fuzz", operation: .query, resource: "null/store/state"))
      let answer = try await channel.request(question, to: .metaManager, timeout: .seconds(60))
      guard answer.operation == .response else {
        throw ValidationError("MetaManager fails: \(String(decoding: answer.content, as: UTF8.self))")
      }
    }
    print("\(fed) inputs in \(seconds) s, \(messages) of them messages; nothing crashed")
  }
}
