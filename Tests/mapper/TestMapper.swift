import ArgumentParser
import Core
import Curl
import DMI
import GRPC
import Glibc
import Logging
import NIOPosix
import SwiftProtobuf

/// A mapper for tests and for trying things: its devices do at once what is wished of them, and it reports that.
///
/// As KubeEdge's mapper-framework does, it registers first and serves its own socket afterwards.
@main
struct TestMapper: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "testmapper", abstract: "A mapper whose devices do what they are told.")

  @Option(help: "The agent's socket.")
  var edgecore = "/etc/kubeedge/dmi.sock"

  @Option(help: "The mapper's own socket.")
  var socket: String

  @Option(help: "The mapper's name.")
  var name = "testmapper"

  @Option(name: .customLong("protocol"), help: "The protocol whose devices it speaks for.")
  var protocolName = "virtual"

  func run() async throws {
    let devices = Devices(agent: GRPCChannel(.unixSocket(path: edgecore), http: HTTPClient()))
    let given: DMIMapperRegisterResponse = try await devices.call(
      "MapperRegister",
      DMIMapperRegisterRequest.with {
        $0.withData = true
        $0.mapper.name = name
        $0.mapper.version = "v1"
        $0.mapper.apiVersion = "v1beta1"
        $0.mapper.protocol = protocolName
        $0.mapper.address = .init(socket.utf8)
      })
    say("registered: \(given.modelList.count) models, \(given.deviceList.count) devices")
    for device in given.deviceList { await devices.put(device) }
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let server = GRPCServer(socket: socket, methods: methods(devices), group: events, logger: Logger(label: "testmapper"))
    // Until somebody ends the process; what is left is a socket that the next one replaces.
    try await server.run { say("serving \(socket)") }
  }

  private func methods(_ devices: Devices) -> [String: GRPCServer.Method] {
    let service = "/v1beta1.DeviceMapperService/"
    return [
      service + "RegisterDevice": { bytes in
        let device = try DMIRegisterDeviceRequest(serializedBytes: bytes).device
        Task { await devices.put(device) }
        return try DMIRegisterDeviceResponse.with {
          $0.deviceName = device.name
          $0.deviceNamespace = device.namespace
        }.serializedBytes()
      },
      service + "UpdateDevice": { bytes in
        let device = try DMIUpdateDeviceRequest(serializedBytes: bytes).device
        Task { await devices.put(device) }
        return []
      },
      service + "RemoveDevice": { bytes in
        say("removed \(try DMIRemoveDeviceRequest(serializedBytes: bytes).deviceName)")
        return []
      },
      service + "CreateDeviceModel": { bytes in
        say("model \(try DMICreateDeviceModelRequest(serializedBytes: bytes).model.name)")
        return []
      },
      service + "UpdateDeviceModel": { _ in [] },
      service + "RemoveDeviceModel": { _ in [] },
    ]
  }
}

/// The devices, and what the agent is told of them.
private struct Devices: Sendable {
  let agent: GRPCChannel

  func call<Reply: SwiftProtobuf.Message>(_ method: String, _ request: some SwiftProtobuf.Message) async throws -> Reply {
    try await agent.unary("v1beta1.DeviceManagerService", method, request, timeout: .seconds(10))
  }

  /// The device is as it is wished to be.
  func put(_ device: DMIDevice) async {
    let values = device.spec.properties.map { ($0.name, $0.desired.value) }.filter { !$0.1.isEmpty }
    say("device \(device.namespace)/\(device.name) \(values.map { "\($0.0)=\($0.1)" }.joined(separator: " "))")
    do {
      let _: DMINothing = try await call(
        "ReportDeviceStates",
        DMIReportDeviceStatesRequest.with {
          $0.deviceName = device.name
          $0.deviceNamespace = device.namespace
          $0.state = "online"
        })
      guard !values.isEmpty else { return }
      let _: DMINothing = try await call(
        "ReportDeviceStatus",
        DMIReportDeviceStatusRequest.with {
          $0.deviceName = device.name
          $0.deviceNamespace = device.namespace
          $0.reportedDevice.twins = values.map { name, value in
            DMITwin.with {
              $0.propertyName = name
              $0.observedDesired.value = value
              $0.reported.value = value
            }
          }
        })
    } catch {
      say("the agent refused a report: \(error)")
    }
  }
}

private func say(_ text: String) {
  print(text)
  fflush(nil)
}
