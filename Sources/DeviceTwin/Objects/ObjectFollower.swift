import Core
import Logging

/// Follows the Device and DeviceModel objects that the cloud gives the node.
struct ObjectFollower: Sendable {
  let desk: DeviceDesk
  let mappers: Mappers
  let channel: ChannelContext
  let logger: Logger

  /// Follows until the task is cancelled.
  func run() async {
    let client = MetadataClient(channel: channel, source: .twin)
    // The watch first: whoever lists after it misses nothing.
    guard let watch = try? client.watch("device", "devicemodel") else { return }
    defer { watch.end() }
    await begin(client)
    for await change in watch { await take(change) }
  }

  private func begin(_ client: MetadataClient) async {
    var backoff = Backoff(initial: .milliseconds(500), maximum: .seconds(30))
    while !Task.isCancelled {
      do {
        let models = try await client.list("devicemodel").compactMap { DeviceModelObject($0.object) }
        let devices = try await client.list("device").compactMap { DeviceObject($0.object) }
        await mappers.begin(devices, models)
        var events: [DeviceBook.Event] = []
        for device in devices { events.append(await event(device)) }
        events += await desk.book.strays(Set(devices.map(\.id))).map { .noObject($0) }
        if !events.isEmpty { await desk.take(events) }
        return
      } catch {
        if Task.isCancelled { return }
        logger.warning("the devices that the cloud knows can't be listed; trying again", metadata: ["error": "\(error)"])
        do { try await Task.sleep(for: backoff.next()) } catch { return }
      }
    }
  }

  private func event(_ device: DeviceObject) async -> DeviceBook.Event {
    .object(device.id, device.wishes(await mappers.model(of: device)), version: device.resourceVersion)
  }

  private func take(_ change: MetadataChange) async {
    switch (change.key.type, change.kind) {
    case ("device", .stored):
      guard let device = DeviceObject(change.object) else { return complain(change) }
      await desk.take([event(device)])
      await mappers.put(device)
    case ("device", .removed):
      let id = DeviceID(namespace: change.key.namespace, name: change.key.name)
      await mappers.remove(device: id)
      await desk.take([.noObject(id)])
    case ("devicemodel", .stored):
      guard let model = DeviceModelObject(change.object) else { return complain(change) }
      await mappers.put(model)
      // Their properties' types.
      let devices = await mappers.devices.values.filter { $0.model == model.id }
      var events: [DeviceBook.Event] = []
      for device in devices { events.append(await event(device)) }
      if !events.isEmpty { await desk.take(events) }
    case ("devicemodel", .removed): await mappers.remove(model: "\(change.key.namespace)/\(change.key.name)")
    default: break
    }
  }

  private func complain(_ change: MetadataChange) {
    logger.warning("an object of the cloud can't be read", metadata: ["object": "\(change.key)"])
  }
}
