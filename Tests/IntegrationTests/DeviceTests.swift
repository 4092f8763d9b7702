import CloudSimulator
import FoundationEssentials
import Glibc
import Testing
import YAML

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

  /// `FLAP_SECONDS` says for how long, 20 unless it is set; the link is cut every `FLAP_PERIOD` seconds, 4 unless it is set.
  @Test func bothSidesAreEqualAfterALinkThatComesAndGoes() async throws {
    func setting(_ name: String, _ standard: Int) -> Int {
      ProcessInfo.processInfo.environment[name].flatMap { Int($0) } ?? standard
    }
    let seconds = setting("FLAP_SECONDS", 20)
    let period = max(2, setting("FLAP_PERIOD", 4))
    try await DeviceLab.with { lab in
      try lab.applyModel()
      for name in ["thermo-1", "thermo-2"] { try lab.applyDevice(name, mode: "m0") }
      try lab.mapper.start()
      for name in ["thermo-1", "thermo-2"] { try await lab.waitUntilReported("m0", "mode", of: name) }
      var number = 0
      let end = ContinuousClock.now + .seconds(seconds)
      var isCut = false
      var next = ContinuousClock.now
      while ContinuousClock.now < end {
        if ContinuousClock.now >= next {
          if isCut { try await lab.cloud.simulator.restore() } else { await lab.cloud.simulator.cut() }
          isCut.toggle()
          next += .milliseconds(500 * period)
        }
        number += 1
        for name in ["thermo-1", "thermo-2"] {
          if number % 3 == 0 { try lab.applyDevice(name, mode: "m\(number)") }
          lab.program.publish(
            "$hw/events/device/default/\(name)/twin/update",
            #"{"event_id":"\#(name)-\#(number)","twin":{"temperature":{"actual":{"value":"\#(number)"}}}}"#)
        }
        // An acknowledged update is one that was answered.
        for name in ["thermo-1", "thermo-2"] {
          try await lab.program.message("\(name)/twin/update/result", containing: #""event_id":"\#(name)-\#(number)""#)
        }
      }
      if isCut { try await lab.cloud.simulator.restore() }
      let wish = "m\(number / 3 * 3)"
      for name in ["thermo-1", "thermo-2"] {
        try await lab.waitUntilReported(String(number), "temperature", of: name)
        try await lab.waitUntilReported(wish, "mode", of: name)
        let device = try await lab.cloud.agent.get("/v1/devices/default/\(name)")
        let mode = device["twins"]?.array?.first { $0["name"] == .string("mode") }
        #expect(mode?["expected"]?["value"] == .string(wish) && mode?["actual"]?["value"] == .string(wish))
      }
      try await lab.cloud.simulator.waitUntilAcknowledged()
      print("flapping: \(number) updates of each device in \(seconds) s")
    }
  }
}
