import Core
import DMI
import GRPC
import SwiftProtobuf
import Synchronization
import YAML

/// What mappers call: they register, and report values and states.
struct DMIService: Sendable {
  /// Takes what a mapper says of a device, in the words of MQTT.
  typealias Report = @Sendable (_ id: String, DeviceTopic.Subject, _ payloads: [[UInt8]]) async -> Void

  let mappers: Mappers
  let keep: @Sendable (Mapper) async throws -> Void
  let report: Report
  let rate: ReportRate

  var methods: [String: GRPCServer.Method] {
    let service = "/v1beta1.DeviceManagerService/"
    return [
      service + "MapperRegister": { try await Self.reply(register(Self.request($0))) },
      service + "ReportDeviceStatus": { try await Self.reply(reportStatus(Self.request($0))) },
      service + "ReportDeviceStates": { try await Self.reply(reportState(Self.request($0))) },
    ]
  }

  private static func request<Request: SwiftProtobuf.Message>(_ bytes: [UInt8]) throws -> Request {
    do {
      return try Request(serializedBytes: bytes)
    } catch {
      throw GRPCError(.invalidArgument, "the request is no \(Request.protoMessageName)")
    }
  }

  private static func reply(_ message: some SwiftProtobuf.Message) throws -> [UInt8] { try message.serializedBytes() }

  private func register(_ request: DMIMapperRegisterRequest) async throws -> DMIMapperRegisterResponse {
    guard request.hasMapper else { throw GRPCError(.invalidArgument, "fail to register mapper: the request has no mapper") }
    let mapper = try Mapper(request.mapper)
    guard rate.admits(mapper.name) else { throw Self.tooMany("register mapper", mapper.name) }
    try await keep(mapper)
    let given = await mappers.register(mapper, withData: request.withData)
    return DMIMapperRegisterResponse.with {
      $0.modelList = given.models
      $0.deviceList = given.devices
    }
  }

  private func reportStatus(_ request: DMIReportDeviceStatusRequest) async throws -> DMINothing {
    let id = try Self.id(request.deviceNamespace, request.deviceName, "report device status")
    guard !request.reportedDevice.twins.isEmpty else {
      throw GRPCError(.invalidArgument, "fail to report device status of \(id): ReportDeviceStatusRequest does not have twin data")
    }
    guard rate.admits(id) else { throw Self.tooMany("report device status", id) }
    let updates = request.reportedDevice.twins.map { twin in
      var members: [JSONValue.Member] = []
      // Who has observed nothing sends an empty text.
      if !twin.observedDesired.value.isEmpty {
        members.append(.init("expected", .object([.init("value", .string(twin.observedDesired.value))])))
      }
      if twin.hasReported { members.append(.init("actual", .object([.init("value", .string(twin.reported.value))]))) }
      return MessageText.base(
        "", Core.Message.Header.now, [.init("twin", .object([.init(twin.propertyName, .object(members))]))]
      ).jsonBytes()
    }
    await report(id, .twinUpdate, updates)
    return DMINothing()
  }

  private func reportState(_ request: DMIReportDeviceStatesRequest) async throws -> DMINothing {
    let id = try Self.id(request.deviceNamespace, request.deviceName, "report device states")
    guard DeviceState.isGood(request.state) != nil else {
      throw GRPCError(
        .invalidArgument, "fail to report device states of \(id): state must be online, offline, ok, unknown or unhealthy")
    }
    guard rate.admits(id) else { throw Self.tooMany("report device states", id) }
    let update = MessageText.base("", Core.Message.Header.now, [.init("state", .string(request.state))])
    await report(id, .stateUpdate, [update.jsonBytes()])
    return DMINothing()
  }

  private static func id(_ namespace: String, _ name: String, _ what: String) throws(GRPCError) -> String {
    guard !name.isEmpty, name.utf8.count <= 253, namespace.utf8.count <= 253 else {
      throw GRPCError(.invalidArgument, "fail to \(what): deviceName must have 1 to 253 characters")
    }
    return "\(namespace.isEmpty ? "default" : namespace)/\(name)"
  }

  private static func tooMany(_ what: String, _ name: String) -> GRPCError {
    GRPCError(.resourceExhausted, "fail to \(what) because of too many request: \(name)")
  }
}

/// Holds floods back, one sender at a time: nobody suffers from another's.
final class ReportRate: Sendable {
  private static let burst = 1000.0
  private static let perSecond = 200.0
  private static let senders = 4096

  private struct Bucket {
    var tokens: Double
    var filled: ContinuousClock.Instant
  }

  private let buckets = Mutex<[String: Bucket]>([:])

  func admits(_ sender: String, now: ContinuousClock.Instant = .now) -> Bool {
    buckets.withLock { buckets in
      // Whoever is forgotten begins with a full bucket.
      if buckets.count > Self.senders { buckets = buckets.filter { Self.tokens($0.value, now) < Self.burst } }
      var tokens = buckets[sender].map { Self.tokens($0, now) } ?? Self.burst
      let isAdmitted = tokens >= 1
      if isAdmitted { tokens -= 1 }
      buckets[sender] = Bucket(tokens: tokens, filled: now)
      return isAdmitted
    }
  }

  private static func tokens(_ bucket: Bucket, _ now: ContinuousClock.Instant) -> Double {
    min(burst, bucket.tokens + (now - bucket.filled) / .seconds(1) * perSecond)
  }
}
