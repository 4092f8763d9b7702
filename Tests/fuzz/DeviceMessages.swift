import ArgumentParser
import Core
import DeviceTwin
import FoundationEssentials
import Glibc
import YAML

/// Feeds broken messages of devices, of the cloud about devices and broken Device objects to a whole DeviceTwin with a database.
struct DeviceMessages: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "devices", abstract: "Feeds mutated MQTT payloads, topics and Device objects to DeviceTwin.")

  @Option(help: "How long, in seconds.")
  var seconds = 60

  private static let topics = [
    "$hw/events/device/default/thermo-1/twin/update", "$hw/events/device/default/thermo-1/twin/get",
    "$hw/events/device/default/thermo-1/twin/cloud_updated", "$hw/events/device/default/thermo-1/state/update",
    "$hw/events/device/default/thermo-1/updated", "$hw/events/device/thermo-1/twin/update", "$hw/events/node/edge-1/membership/get",
  ].map { Array($0.utf8) }

  private static let payloads = [
    #"{"event_id":"22","timestamp":0,"twin":{"temperature":{"actual":{"value":"22"},"metadata":{"type":"int"}}}}"#,
    #"{"event_id":"","twin":{"a":{"expected":{"value":"1","metadata":{"timestamp":5}},"optional":false},"b":null,"c":{}}}"#,
    #"{"twin":{"a":{"expected":{"value":"x"},"metadata":{"type":"deleted"},"expected_version":{"cloud":3,"edge":1}}}}"#,
    #"{"event_id":"1","timestamp":0,"state":"online"}"#,
    #"{"attributes":{"colour":{"value":"red","optional":true,"metadata":{"type":"string"}},"x":null}}"#,
    #"{"added_devices":[{"id":"default/new","name":"new","twin":{"a":{"expected":{"value":"1"},"expected_version":{"cloud":1,"edge":0}}}}],"removed_devices":[{"id":"default/other"}]}"#,
    #"{"devices":[{"id":"default/thermo-1","state":"ok","attributes":{"a":{"value":"1"}}}]}"#,
  ].map { Array($0.utf8) }

  private static let objects = [
    #"{"metadata":{"name":"thermo-1","namespace":"default","resourceVersion":"7"},"spec":{"deviceModelRef":{"name":"thermo"},"protocol":{"protocolName":"virtual","configData":{"port":1}},"properties":[{"name":"temperature","desired":{"value":"21"},"visitors":{"configData":{"register":3}}}]}}"#,
    #"{"metadata":{"name":"thermo","namespace":"default"},"spec":{"protocol":"virtual","protocolConfigData":{"a":1.5},"properties":[{"name":"temperature","type":"INT","visitors":{"protocolName":"x","configData":{"y":true}}}]}}"#,
  ].map { Array($0.utf8) }

  func run() async throws {
    let folder = "/tmp/edgecore-fuzz-\(getpid())"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let channel = ChannelContext()
    for (module, group) in [
      (ModuleName.twin, ModuleGroup.twin), (.websocket, .hub), (.metaManager, .meta), (.eventBus, .bus),
    ] { try channel.register(module, group: group) }
    var configuration = DeviceTwinConfiguration()
    configuration.dmiSockPath = folder
    let module = DeviceTwin(configuration: configuration, nodeName: "edge-1", agentDatabase: folder + "/edgecore.db", channel: channel)
    let (answers, answer) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingNewest(1 << 16))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask { try await module.run() }
      for neighbour in [ModuleName.websocket, .metaManager] {
        tasks.addTask {
          for await message in channel.messages(for: neighbour) where message.header.sync {
            channel.respond(to: message, with: .reply(to: message, content: Array("{}".utf8)))
          }
        }
      }
      tasks.addTask { for await message in channel.messages(for: .eventBus) { answer.yield(message.resource) } }
      try await feed(channel, answers)
      tasks.cancelAll()
      do { while try await tasks.next() != nil {} } catch is CancellationError {}
    }
  }

  private func feed(_ channel: ChannelContext, _ answers: AsyncStream<String>) async throws {
    var mutation = Mutation()
    let end = ContinuousClock.now + .seconds(seconds)
    var answers = answers.makeAsyncIterator()
    var fed = 0
    var round = 0
    while ContinuousClock.now < end {
      for _ in 0..<500 {
        fed += 1
        let payload = mutation.mutated(Self.payloads.randomElement() ?? [], with: Self.payloads.randomElement() ?? [])
        let seed = Self.topics.randomElement() ?? []
        let topic = Bool.random() ? seed : mutation.mutated(seed, with: Self.topics.randomElement() ?? [])
        switch Int.random(in: 0..<8) {
        case 0: try await send("devicecontroller", ["membership", "membership/detail", "twin"].randomElement() ?? "", payload, channel)
        case 1:
          let isDevice = Bool.random()
          let object = mutation.mutated(Self.objects[isDevice ? 0 : 1], with: Self.objects.randomElement() ?? [])
          let type = isDevice ? "device" : "devicemodel"
          let message = Message(
            route: .init(
              source: "metamanager", operation: Int.random(in: 0..<6) == 0 ? .delete : .update, resource: "default/\(type)/thermo-1"),
            content: object)
          try? await channel.send(message, toGroup: .watch(type))
        default: try await send("bus", String(decoding: topic, as: UTF8.self), payload, channel)
        }
      }
      // It still does its work.
      round += 1
      let device = "default/probe-\(round)"
      let membership = #"{"added_devices":[{"id":"\#(device)"}]}"#
      try await send("devicecontroller", "membership", Array(membership.utf8), channel)
      let update = Array(#"{"event_id":"p","twin":{"a":{"actual":{"value":"1"}}}}"#.utf8)
      try await send("bus", "$hw/events/device/\(device)/twin/update", update, channel)
      while let topic = await answers.next(), topic != "$hw/events/device/\(device)/twin/update/document" {}
      try await send("devicecontroller", "membership", Array(#"{"removed_devices":[{"id":"\#(device)"}]}"#.utf8), channel)
    }
    print("\(fed) inputs in \(seconds) s; nothing crashed")
  }

  private func send(_ source: String, _ resource: String, _ content: [UInt8], _ channel: ChannelContext) async throws {
    try await channel.send(
      Message(route: .init(source: source, group: "twin", operation: .update, resource: resource), content: content), to: .twin)
  }
}
