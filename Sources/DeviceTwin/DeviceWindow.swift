import Core
import HTTPServer
import KubernetesAPI
import LocalAPI
import Synchronization
import YAML

/// What people at the node see of devices, and what they may change: routes of the local API.
final class DeviceWindow: Sendable {
  private struct State {
    var desk: DeviceDesk?
    var mappers: Mappers?
    var watchers: [UInt64: (id: DeviceID, changes: AsyncStream<Void>.Continuation)] = [:]
    var nextWatcher: UInt64 = 0
  }

  private let state = Mutex(State())

  /// The module runs with these; nil when it has ended.
  func open(_ desk: DeviceDesk?, _ mappers: Mappers?) {
    state.withLock { state in
      state.desk = desk
      state.mappers = mappers
      if desk == nil { for watcher in state.watchers.values { watcher.changes.finish() } }
    }
  }

  func changed(_ ids: Set<DeviceID>) {
    state.withLock { state in for watcher in state.watchers.values where ids.contains(watcher.id) { watcher.changes.yield() } }
  }

  var routes: [Route] {
    [
      Route("GET", "/v1/devices") { _ in try await self.list() },
      Route("GET", "/v1/devices/{namespace}/{name}") { request in
        let id = try await self.id(request)
        return request.flag("watch") ? try self.watch(id) : .json(try await self.text(id))
      },
      Route("POST", "/v1/devices/{namespace}/{name}/twin") { try await self.update($0) },
    ]
  }

  private func parts() throws(ServerError) -> (desk: DeviceDesk, mappers: Mappers) {
    let (desk, mappers) = state.withLock { ($0.desk, $0.mappers) }
    guard let desk, let mappers else { throw ServerError(status: 503, message: "the module twin isn't running") }
    return (desk, mappers)
  }

  private func id(_ request: ServerRequest) async throws -> DeviceID {
    let text = "\(request.parameters["namespace"] ?? "")/\(request.parameters["name"] ?? "")"
    guard let id = await (try parts()).desk.book.find(text) else { throw ServerError.notFound("no device \(text) on this node") }
    return id
  }

  private func list() async throws -> ServerResponse {
    let parts = try parts()
    var summaries: [DeviceSummary] = []
    for id in await parts.desk.book.devices.keys.sorted(by: { $0.text < $1.text }) {
      if let summary = await summary(id, parts.desk.book, parts.mappers) { summaries.append(summary) }
    }
    return .json(try JSONValue(encoding: summaries).jsonBytes())
  }

  private func text(_ id: DeviceID) async throws -> [UInt8] {
    let parts = try parts()
    guard let summary = await summary(id, parts.desk.book, parts.mappers) else {
      throw ServerError.notFound("no device \(id) on this node")
    }
    return try JSONValue(encoding: summary).jsonBytes()
  }

  private func summary(_ id: DeviceID, _ book: DeviceBook, _ mappers: Mappers) async -> DeviceSummary? {
    guard let device = await book.devices[id] else { return nil }
    let object = await mappers.devices[id]
    let mapper = await mappers.mappers[object?.protocolName ?? ""]?.name
    let twins = device.twins.filter { !$0.value.isDeleted }.sorted { $0.key < $1.key }.map { name, twin in
      TwinSummary(
        name: name, type: twin.type, expected: Self.value(twin.expected, twin.expectedVersion),
        actual: Self.value(twin.actual, twin.actualVersion), desired: twin.desired)
    }
    return DeviceSummary(
      id: id.text, state: device.state, lastOnline: device.lastOnline, protocolName: object?.protocolName, mapper: mapper,
      isOwed: await book.debts[id] != nil, twins: twins)
  }

  private static func value(_ value: Twin.Value?, _ version: Twin.Version?) -> TwinSummary.Value? {
    value.map { value in
      TwinSummary.Value(
        value: value.text, time: Timestamp(nanoseconds: value.timestamp * 1_000_000).rfc3339(fractionDigits: 3),
        version: "\(version?.cloud ?? 0)/\(version?.edge ?? 0)")
    }
  }

  /// The device now and after each change, one JSON object a line, until the reader or the device is gone.
  private func watch(_ id: DeviceID) throws -> ServerResponse {
    let (changes, change) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    let watcher = state.withLock { state in
      state.nextWatcher += 1
      state.watchers[state.nextWatcher] = (id, change)
      return state.nextWatcher
    }
    change.yield()
    return ServerResponse(
      contentType: "application/x-ndjson",
      body: .stream { writer in
        defer { self.state.withLock { $0.watchers[watcher] = nil } }
        for await _ in changes { try await writer.write(try await self.text(id) + [0x0A]) }
      })
  }

  /// Does what `…/twin/update` by MQTT does; answers with what that publishes as its result.
  private func update(_ request: ServerRequest) async throws -> ServerResponse {
    let id = try await id(request)
    let desk = try parts().desk
    let result = await desk.take([.device(id: id.text, .twinUpdate, payload: request.body)])
      .first { $0.topic == DeviceTopic.device(id.text, "twin/update/result") }
    guard let result else { throw ServerError(status: 500, message: "the update had no result") }
    let code = (try? JSONValue(json: result.payload))?["code"]?.int
    return .json(result.payload, status: code.map { Int($0) } ?? 200)
  }
}
