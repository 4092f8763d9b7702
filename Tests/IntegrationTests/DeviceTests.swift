import CloudSimulator
import Glibc
import Testing

/// Devices from a program's MQTT message, or a mapper's socket, to the cloud and back: real broker, real mapper, real agent.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct DeviceTests {
  private static let topic = "$hw/events/device/default/thermo-1/"

  @Test func wishesAndValuesGoBothWays() async throws {
    try await DeviceLab.with { lab in
      try lab.applyModel()
      try lab.applyDevice("thermo-1", mode: "auto")
      // A wish reaches programs by MQTT, without a mapper as well.
      try await lab.program.message("twin/update/delta", containing: #""delta":{"mode":"auto"}"#)
      try lab.mapper.start()
      try await lab.waitUntilMapperHeard("device default/thermo-1 mode=auto")
      try await lab.waitUntilReported("auto", "mode", of: "thermo-1")
      try lab.applyDevice("thermo-1", mode: "hand")
      try await lab.waitUntilMapperHeard("device default/thermo-1 mode=hand")
      try await lab.waitUntilReported("hand", "mode", of: "thermo-1")
      // A value that is reported once only is shown.
      lab.program.publish(
        Self.topic + "twin/update", #"{"event_id":"1","twin":{"temperature":{"actual":{"value":"21"},"metadata":{"type":"int"}}}}"#)
      try await lab.waitUntilReported("21", "temperature", of: "thermo-1")
      lab.program.publish(Self.topic + "twin/update", #"{"event_id":"2","twin":{"temperature":{"actual":{"value":"warm"}}}}"#)
      let refusal = try await lab.program.message("twin/update/result", containing: #""event_id":"2""#)
      #expect(refusal["reason"]?.string == "the value is not int or integer")
      // Another device of the same kind, and the end of the first.
      try lab.applyDevice("thermo-2", mode: "off")
      try await lab.waitUntilMapperHeard("device default/thermo-2 mode=off")
      try lab.cloud.simulator.delete("Device", name: "thermo-1")
      try await lab.waitUntilMapperHeard("removed thermo-1")
      try await lab.program.message("membership/updated", containing: #""removed_devices":[{"id":"default/thermo-1""#)
      let left = try await lab.cloud.agent.get("/v1/devices").array?.compactMap { $0["id"]?.string }
      #expect(left == ["default/thermo-2"])
      try await lab.cloud.simulator.waitUntilAcknowledged()
    }
  }

  @Test func daysWithoutACloudEndInOneReport() async throws {
    try await DeviceLab.with { lab in
      try lab.applyModel()
      try lab.applyDevice("thermo-1", mode: "auto")
      try lab.mapper.start()
      try await lab.waitUntilReported("auto", "mode", of: "thermo-1")
      await lab.cloud.simulator.cut()
      for value in 1...30 {
        lab.program.publish(
          Self.topic + "twin/update", #"{"event_id":"v\#(value)","twin":{"temperature":{"actual":{"value":"\#(value)"}}}}"#)
      }
      try await lab.program.message("twin/update/result", containing: #""event_id":"v30""#)
      // The broker, the agent and the mapper die meanwhile.
      lab.broker.kill(SIGKILL)
      try await lab.broker.start()
      _ = try await lab.mapper.end(SIGKILL)
      try await lab.cloud.agent.killAndStart()
      try lab.mapper.start()
      try await lab.waitUntilMapperHeard("registered: 1 models, 1 devices")
      _ = try await eventually("the agent takes messages again", within: .seconds(60)) {
        lab.program.publish(Self.topic + "twin/update", #"{"event_id":"last","twin":{"temperature":{"actual":{"value":"31"}}}}"#)
        return try? await lab.program.message("twin/update/result", containing: #""event_id":"last""#)
      }
      // Both sides wish something else: the cloud's wish counts.
      lab.program.publish(Self.topic + "twin/update", #"{"event_id":"edge","twin":{"mode":{"expected":{"value":"edge"}}}}"#)
      try await lab.program.message("twin/update/result", containing: #""event_id":"edge""#)
      try lab.applyDevice("thermo-1", mode: "cloud")
      lab.cloud.simulator.clearTranscript()
      try await lab.cloud.simulator.restore()
      try await lab.waitUntilReported("31", "temperature", of: "thermo-1")
      try await lab.waitUntilReported("cloud", "mode", of: "thermo-1")
      let values = lab.cloud.simulator.messages(.toCloud) { $0.resource.hasSuffix("twin/edge_updated") }
        .filter { String(decoding: $0.content, as: UTF8.self).contains("temperature") }
      #expect(values.count <= 3, "what was between is not told")
    }
  }
}
