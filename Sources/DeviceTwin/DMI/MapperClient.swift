import Curl
import DMI
import GRPC
import SwiftProtobuf

/// What a mapper is asked to do.
enum MapperCall: Sendable, Hashable {
  case putModel(DMIDeviceModel, isNew: Bool)
  case removeModel(namespace: String, name: String)
  case putDevice(DMIDevice, isNew: Bool)
  case removeDevice(namespace: String, name: String)

  /// Calls about the same thing: only the newest counts.
  var subject: String {
    switch self {
    case .putModel(let model, _): Self.subject(model: "\(model.namespace)/\(model.name)")
    case .removeModel(let namespace, let name): Self.subject(model: "\(namespace)/\(name)")
    case .putDevice(let device, _): Self.subject(device: DeviceID(namespace: device.namespace, name: device.name))
    case .removeDevice(let namespace, let name): Self.subject(device: DeviceID(namespace: namespace, name: name))
    }
  }

  static func subject(model id: String) -> String { "model \(id)" }
  static func subject(device id: DeviceID) -> String { "device \(id)" }
}

/// Calls to a mapper's socket.
struct MapperClient: Sendable {
  private static let service = "v1beta1.DeviceMapperService"
  private static let timeout = Duration.seconds(10)

  let http: HTTPClient

  /// - Throws: `GRPCError`, `CancellationError`.
  func make(_ call: MapperCall, to mapper: Mapper) async throws {
    switch call {
    case .putModel(let model, true):
      try await send("CreateDeviceModel", DMICreateDeviceModelRequest.with { $0.model = model }, mapper)
    case .putModel(let model, false):
      try await send("UpdateDeviceModel", DMIUpdateDeviceModelRequest.with { $0.model = model }, mapper)
    case .removeModel(let namespace, let name):
      let request = DMIRemoveDeviceModelRequest.with {
        $0.modelName = name
        $0.modelNamespace = namespace
      }
      try await send("RemoveDeviceModel", request, mapper)
    case .putDevice(let device, true):
      try await send("RegisterDevice", DMIRegisterDeviceRequest.with { $0.device = device }, mapper)
    case .putDevice(let device, false):
      try await send("UpdateDevice", DMIUpdateDeviceRequest.with { $0.device = device }, mapper)
    case .removeDevice(let namespace, let name):
      let request = DMIRemoveDeviceRequest.with {
        $0.deviceName = name
        $0.deviceNamespace = namespace
      }
      try await send("RemoveDevice", request, mapper)
    }
  }

  private func send(_ method: String, _ request: some SwiftProtobuf.Message, _ mapper: Mapper) async throws {
    let bytes: [UInt8] = try request.serializedBytes()
    _ = try await GRPCChannel(.unixSocket(path: mapper.address), http: http).unary(Self.service, method, bytes, timeout: Self.timeout)
  }
}
