import Core
import Curl
import DMI
import GRPC
import Glibc
import Logging
import NIOCore
import NIOPosix
import SwiftProtobuf
import Synchronization
import Testing
import YAML

@testable import DeviceTwin

/// Mappers, over real sockets in both directions.
@Suite(.timeLimit(.minutes(2))) struct MapperTests {
  /// A mapper as mapper-framework makes them: it registers first and serves its own socket afterwards.
  final class TestMapper: Sendable {
    let fixture: ModuleFixture
    let name: String
    let protocolName: String
    let path: String
    private let http = HTTPClient()
    private let calls = Mutex<[String]>([])
    private let refusal = Mutex<GRPCError?>(nil)

    init(_ fixture: ModuleFixture, name: String = "m1", protocolName: String = "virtual") {
      self.fixture = fixture
      self.name = name
      self.protocolName = protocolName
      path = fixture.directory + "/\(name).sock"
    }

    var heard: [String] { calls.withLock { $0 } }
    func refuse(_ error: GRPCError?) { refusal.withLock { $0 = error } }

    func call<Reply: SwiftProtobuf.Message>(_ method: String, _ request: some SwiftProtobuf.Message, _: Reply.Type = DMINothing.self)
      async throws
      -> Reply
    {
      try await GRPCChannel(.unixSocket(path: fixture.socket), http: http)
        .unary("v1beta1.DeviceManagerService", method, request, timeout: .seconds(20))
    }

    func register(withData: Bool = true) async throws -> DMIMapperRegisterResponse {
      try await call(
        "MapperRegister",
        DMIMapperRegisterRequest.with {
          $0.withData = withData
          $0.mapper.name = name
          $0.mapper.version = "1"
          $0.mapper.apiVersion = "v1beta1"
          $0.mapper.protocol = protocolName
          $0.mapper.address = .init(path.utf8)
        }, DMIMapperRegisterResponse.self)
    }

    /// Serves the mapper's own socket while `body` runs.
    func serving(_ body: () async throws -> Void) async throws {
      let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      var methods: [String: GRPCServer.Method] = [:]
      func add<Request: SwiftProtobuf.Message>(_ name: String, _: Request.Type, _ text: @escaping @Sendable (Request) -> String) {
        methods["/v1beta1.DeviceMapperService/" + name] = { bytes in
          self.calls.withLock { $0.append("\(name) \((try? Request(serializedBytes: bytes)).map(text) ?? "?")") }
          if let error = self.refusal.withLock({ $0 }) { throw error }
          return []
        }
      }
      add("RegisterDevice", DMIRegisterDeviceRequest.self) { $0.device.name + " " + ($0.device.spec.properties.first?.desired.value ?? "") }
      add("UpdateDevice", DMIUpdateDeviceRequest.self) { $0.device.name + " " + ($0.device.spec.properties.first?.desired.value ?? "") }
      add("RemoveDevice", DMIRemoveDeviceRequest.self) { "\($0.deviceNamespace)/\($0.deviceName)" }
      add("CreateDeviceModel", DMICreateDeviceModelRequest.self) { $0.model.name }
      add("UpdateDeviceModel", DMIUpdateDeviceModelRequest.self) { $0.model.name }
      add("RemoveDeviceModel", DMIRemoveDeviceModelRequest.self) { $0.modelName }
      let server = GRPCServer(socket: path, methods: methods, group: events, logger: Logger(label: "mapper"))
      let serving = Task { try await server.run() }
      try await fixture.until("the mapper serves") { access(self.path, F_OK) == 0 }
      let result: Result<Void, any Error>
      do { result = .success(try await body()) } catch { result = .failure(error) }
      serving.cancel()
      _ = await serving.result
      try await events.shutdownGracefully()
      try result.get()
    }

    func end() async { await http.shutdown() }
  }

  private static let objects = [
    "default/devicemodel/thermo": ModuleFixture.model, "default/device/t1": ModuleFixture.device("t1", version: 5, desired: "auto"),
    "default/device/other": ModuleFixture.device("other", version: 6, desired: "x", protocolName: "modbus"),
  ]

  @Test func aMapperIsGivenTheDevicesOfItsProtocol() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the devices are there") { fixture.publications.count >= 6 }
      let mapper = TestMapper(fixture)
      let given = try await mapper.register()
      #expect(given.modelList.map(\.name) == ["thermo"] && given.deviceList.map(\.name) == ["t1"])
      let device = try #require(given.deviceList.first)
      #expect(device.namespace == "default" && device.spec.deviceModelReference == "thermo" && device.hasStatus)
      // The model's settings with the device's own in their place; numbers are 32-bit floats.
      let settings = device.spec.protocol.configData.data
      #expect(settings.keys.sorted() == ["baud", "parity", "port"])
      #expect(try Google_Protobuf_StringValue(unpackingAny: try #require(settings["baud"])).value == "9600")
      #expect(try Google_Protobuf_FloatValue(unpackingAny: try #require(settings["port"])).value == 1)
      let property = try #require(device.spec.properties.first)
      #expect(property.desired.value == "auto" && property.hasVisitors && property.visitors.hasConfigData)
      #expect(try Google_Protobuf_BoolValue(unpackingAny: try #require(property.visitors.configData.data["wet"])).value)
      // Registering again, without a wish for data.
      let again = try await mapper.register(withData: false)
      #expect(again.deviceList.isEmpty && again.modelList.isEmpty)
      await mapper.end()
    }
  }

  @Test func changesOfTheCloudReachTheMapperInOrder() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the devices are there") { fixture.publications.count >= 6 }
      let mapper = TestMapper(fixture)
      _ = try await mapper.register()
      try await mapper.serving {
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: 7, desired: "hand"))
        try await fixture.until("the wish") { mapper.heard == ["UpdateDevice t1 hand"] }
        // The same again is nothing new.
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: 8, desired: "hand"))
        try await fixture.put("default/device/t2", ModuleFixture.device("t2", version: 9, desired: "off"))
        try await fixture.until("the new one") { mapper.heard.last == "RegisterDevice t2 off" }
        try await fixture.remove("default/device/t1")
        try await fixture.remove("default/devicemodel/thermo")
        try await fixture.until("the removal") { mapper.heard.count == 4 }
        #expect(mapper.heard.suffix(2) == ["RemoveDevice default/t1", "RemoveDeviceModel thermo"])
      }
      await mapper.end()
    }
  }

  @Test func aMapperThatIsAwayHearsTheNewestWhenItIsBack() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the devices are there") { fixture.publications.count >= 6 }
      let mapper = TestMapper(fixture)
      _ = try await mapper.register()
      for (version, wish) in [(7, "one"), (8, "two"), (9, "three")] {
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: version, desired: wish))
      }
      try await fixture.until("they were taken") {
        fixture.publications.last { $0.topic.hasSuffix("document") }?.text.contains("three") == true
      }
      try await mapper.serving {
        try await fixture.until("the newest") { mapper.heard.last == "UpdateDevice t1 three" }
        #expect(mapper.heard.count == 1)
        // A refusal is told and not repeated.
        mapper.refuse(GRPCError(.unknown, "no"))
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: 10, desired: "four"))
        try await fixture.until("it was asked") { mapper.heard.last == "UpdateDevice t1 four" }
        mapper.refuse(nil)
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: 11, desired: "five"))
        try await fixture.until("the next one") { mapper.heard.last == "UpdateDevice t1 five" }
        #expect(mapper.heard.count == 3)
      }
      await mapper.end()
    }
  }

  /// Answers whoever connects with the same words, or with none.
  private final class Rude: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    let words: String

    init(_ words: String) { self.words = words }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      if words.isEmpty { return }
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: words)), promise: nil)
      context.close(promise: nil)
    }
  }

  @Test(arguments: ["", "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", "\u{0}\u{0}\u{9}\u{4}rubbish"])
  func aMapperThatHangsOrLiesHoldsUpNobody(words: String) async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the devices are there") { fixture.publications.count >= 6 }
      let bad = TestMapper(fixture)
      _ = try await bad.register()
      let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
      let listener = try await ServerBootstrap(group: events)
        .childChannelInitializer { $0.pipeline.addHandler(Rude(words)) }.bind(unixDomainSocketPath: bad.path).get()
      let good = TestMapper(fixture, name: "m2", protocolName: "modbus")
      _ = try await good.register()
      try await good.serving {
        for (version, wish) in [(7, "one"), (8, "two")] {
          try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: version, desired: wish))
          let other = ModuleFixture.device("other", version: version, desired: wish, protocolName: "modbus")
          try await fixture.put("default/device/other", other)
          try await fixture.until("the other mapper hears") { good.heard.last == "UpdateDevice other \(wish)" }
        }
      }
      try await listener.close()
      // Another one takes its place and hears what it has missed.
      let successor = TestMapper(fixture, name: "m3")
      let given = try await successor.register()
      #expect(given.deviceList.first?.spec.properties.first?.desired.value == "two")
      try await successor.serving {
        try await fixture.put("default/device/t1", ModuleFixture.device("t1", version: 9, desired: "three"))
        try await fixture.until("the successor hears") { successor.heard.last == "UpdateDevice t1 three" }
      }
      for mapper in [bad, good, successor] { await mapper.end() }
      try await events.shutdownGracefully()
    }
  }

  @Test func reportsBecomeTwinsAndReachTheCloud() async throws {
    try await ModuleFixture.run(objects: Self.objects) { fixture in
      try await fixture.until("the devices are there") { fixture.publications.count >= 6 }
      let mapper = TestMapper(fixture)
      let _: DMINothing = try await mapper.call(
        "ReportDeviceStatus",
        DMIReportDeviceStatusRequest.with {
          $0.deviceName = "t1"
          $0.deviceNamespace = "default"
          $0.reportedDevice.twins = [
            .with {
              $0.propertyName = "mode"
              $0.observedDesired.value = "auto"
              $0.reported.value = "hand"
            }
          ]
        })
      let _: DMINothing = try await mapper.call(
        "ReportDeviceStates",
        DMIReportDeviceStatesRequest.with {
          $0.deviceName = "t1"
          $0.deviceNamespace = "default"
          $0.state = "ok"
        })
      try await fixture.until("the reports") {
        fixture.reports.contains { $0.resource == "device/default/t1/state/update" }
          && fixture.reports.filter { $0.resource == "device/default/t1/twin/edge_updated" }.count >= 2
      }
      let report = try #require(fixture.reports.last { $0.resource == "device/default/t1/twin/edge_updated" })
      let twin = try JSONValue(json: report.content)["twin"]?["mode"]
      #expect(twin?["actual"]?["value"] == .string("hand") && twin?["expected"]?["value"] == .string("auto"))
      #expect(fixture.publications.contains { $0.topic == "$hw/events/device/default/t1/state/update/result" })
      await mapper.end()
    }
  }

  @Test func whatMakesNoSenseIsRefusedWithItsReason() async throws {
    try await ModuleFixture.run { fixture in
      let mapper = TestMapper(fixture)
      func refusal(_ method: String, _ request: some SwiftProtobuf.Message) async -> GRPCError? {
        do {
          let _: DMINothing = try await mapper.call(method, request)
          return nil
        } catch {
          return error as? GRPCError
        }
      }
      #expect(await refusal("MapperRegister", DMIMapperRegisterRequest())?.message.contains("has no mapper") == true)
      var request = DMIMapperRegisterRequest.with { $0.mapper.name = "m" }
      #expect(await refusal("MapperRegister", request)?.message.contains("mapper.protocol must not be empty") == true)
      request.mapper.protocol = "virtual"
      request.mapper.address = .init("relative".utf8)
      #expect(await refusal("MapperRegister", request)?.message.contains("mapper.address must be the path of a Unix socket") == true)
      let empty = DMIReportDeviceStatusRequest.with { $0.deviceName = "t1" }
      #expect(await refusal("ReportDeviceStatus", empty)?.message.contains("does not have twin data") == true)
      let states = DMIReportDeviceStatesRequest.with {
        $0.deviceName = "t1"
        $0.state = "sleepy"
      }
      #expect(await refusal("ReportDeviceStates", states)?.code == .invalidArgument)
      #expect(await refusal("GetDevice", DMINothing())?.code == .unimplemented)
      let rubbish = await #expect(throws: GRPCError.self) {
        try await GRPCChannel(.unixSocket(path: fixture.socket), http: HTTPClient())
          .unary("v1beta1.DeviceManagerService", "ReportDeviceStates", [0xFF, 0xFF, 0xFF], timeout: .seconds(20))
      }
      #expect(rubbish?.code == .invalidArgument)
      await mapper.end()
    }
  }

  @Test func aFloodOfOneHurtsNoOther() {
    let rate = ReportRate()
    let now = ContinuousClock.now
    let admitted = (0..<5000).filter { _ in rate.admits("loud", now: now) }.count
    #expect(admitted == 1000)
    #expect(rate.admits("quiet", now: now))
    #expect(rate.admits("loud", now: now + .seconds(1)))
  }
}

/// What a mapper hears that registered before the agent knew its devices.
@Suite struct NewcomerTests {
  @Test func whatAMapperHasHeardIsKnownAfterARestart() async throws {
    let http = HTTPClient()
    let mapper = Mapper(
      name: "m", version: "1", apiVersion: "v1beta1", protocolName: "virtual", address: "/tmp/edgecore-no-such-mapper.sock", state: "")
    let model = try #require(DeviceModelObject(Array(ModuleFixture.model.utf8)))
    func device(_ desired: String) throws -> DeviceObject {
      try #require(DeviceObject(Array(ModuleFixture.device("t1", version: 1, desired: desired).utf8)))
    }
    let fixture = try await BookFixture.withDevice()
    /// A life of the agent, in which no mapper answers: what it is to be told.
    func life(_ devices: [DeviceObject], registersFirst: Bool = false, registers: Bool = false) async throws -> [String] {
      let book = fixture.book
      let mappers = Mappers(
        client: MapperClient(http: http), mappers: [mapper], told: try await book.told(), remember: { await book.remember($0) },
        logger: Logger(label: "test"))
      if registersFirst { #expect(await mappers.register(mapper, withData: true).devices.isEmpty) }
      await mappers.begin(devices, [model])
      if registers { #expect(await mappers.register(mapper, withData: true).devices.map(\.name) == ["t1"]) }
      let waiting = await mappers.waiting(for: "virtual")
      await mappers.stop()
      return waiting
    }
    // One that registers before the devices are known hears of them afterwards, also in a later life if it has to be.
    #expect(try await life([device("auto")], registersFirst: true) == ["model default/thermo", "device default/t1"])
    #expect(try await life([device("auto")]) == ["model default/thermo", "device default/t1"])
    #expect(try await life([device("auto")], registers: true) == [])
    #expect(try await life([device("auto")]) == [])
    #expect(try await life([device("hand")]) == ["device default/t1"])
    #expect(try await life([]) == ["device default/t1"])
    #expect(try await fixture.reopened().told()["virtual"]?.marks.keys.sorted() == ["device default/t1", "model default/thermo"])
    await http.shutdown()
  }
}
