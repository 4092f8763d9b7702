import Core
import Foundation
import Testing
import YAML

@testable import CloudSimulator

/// Holds the simulator to a conversation of a real cloudcore with a real node, recorded on the wire.
@Suite(.timeLimit(.minutes(2)))
struct RecordingTests {
  private struct Line: Sendable {
    var isFromNode: Bool
    var message: Message
  }

  private func recording() throws -> [Line] {
    let url = try #require(Bundle.module.url(forResource: "session", withExtension: "jsonl", subdirectory: "Recordings"))
    return try String(contentsOf: url, encoding: .utf8).split(separator: "\n").map { line in
      let value = try JSONValue(json: String(line))
      return Line(
        isFromNode: value["dir"] == .string("edge->cloud"), message: try Message(wire: try #require(value["msg"]).jsonBytes()))
    }
  }

  @Test
  func whatNeedsAnAcknowledgementWasAcknowledged() throws {
    let lines = try recording()
    let acks = Set(lines.filter { $0.isFromNode && $0.message.operation == .response }.map(\.message.parentID))
    let needed = lines.filter { !$0.isFromNode && AckRules.needsAck($0.message, content: $0.message.json) }.map(\.message)
    #expect(needed.count > 20)
    for message in needed { #expect(acks.contains(message.id), "\(message.operation) \(message.resource)") }
    // What never is acknowledged must not wait for it.
    for line in lines where !line.isFromNode && !acks.contains(line.message.id) {
      #expect(!AckRules.needsAck(line.message, content: line.message.json), "\(line.message.resource)")
    }
  }

  @Test
  func theConversationGoesTheSameWay() async throws {
    let lines = try recording()
    try await withCloud({
      $0.mountsServiceAccountTokens = true
      $0.ackTimeout = .seconds(30)
      $0.syncInterval = .seconds(600)
    }) { cloud async throws -> Void in
      let node = try await TestNode.connect(cloud, "go-edge", try await TestNode.join(cloud, "go-edge"), keepalive: false)
      node.acknowledges { _ in false }
      var names: [String: String] = [:]
      var matched: Set<String> = []
      for line in lines {
        if line.isFromNode {
          try makeDevice(of: line.message, cloud)
          // The same message, with the UIDs and versions of this cloud.
          var text = String(decoding: line.message.wire, as: UTF8.self)
          for (recorded, own) in names { text = text.replacing("\"\(recorded)\"", with: "\"\(own)\"") }
          for (recorded, own) in names { text = text.replacing(#"\"\#(recorded)\""#, with: #"\"\#(own)\""#) }
          node.send(raw: Array(text.utf8))
          continue
        }
        try trigger(line.message, lines, cloud)
        let recorded = line.message
        let seen = matched
        let own = try await node.received { message in
          if seen.contains(message.id) { return false }
          if !recorded.parentID.isEmpty { return message.parentID == recorded.parentID }
          return message.parentID.isEmpty && message.resource == recorded.resource && message.operation == recorded.operation
        }.message
        matched.insert(own.id)
        names[recorded.id] = own.id
        #expect(own.route == recorded.route)
        #expect(own.header.resourceVersion.isEmpty == recorded.header.resourceVersion.isEmpty, "\(recorded.resource)")
        collect(recorded.json, own.json, into: &names)
        for difference in differences(recorded.json, own.json, "\(recorded.operation) \(recorded.resource)") {
          Issue.record("\(difference)")
        }
      }
      // Nothing but what was recorded was said.
      let unexpected = node.received.filter { !matched.contains($0.message.id) }
      #expect(unexpected.isEmpty, "\(unexpected.map { "\($0.message.operation) \($0.message.resource)" })")
      await node.close()
    }
  }

  /// Has the device that a node reports about; it is told to no node.
  private func makeDevice(of message: Message, _ cloud: CloudSimulator) throws {
    let parts = message.resource.split(separator: "/")
    guard message.route.source == "twin", parts.first == "device", parts.count > 3 else { return }
    try cloud.apply(
      try JSONValue(json: #"{"apiVersion":"devices.kubeedge.io/v1beta1","kind":"Device","metadata":{"name":"\#(parts[2])"},"spec":{}}"#))
  }

  /// Does in the cloud what a user had done before a message came.
  private func trigger(_ message: Message, _ lines: [Line], _ cloud: CloudSimulator) throws {
    guard message.parentID.isEmpty, message.operation == .update else { return }
    let object = message.json
    switch object["kind"]?.string {
    case "Pod" where cloud.list("pod").isEmpty && !object.isBeingDeleted:
      // What was asked for later has to be there.
      for line in lines where !line.isFromNode && line.message.operation == .response {
        let answer = line.message.json
        if ["ConfigMap", "Secret"].contains(answer["kind"]?.string), answer.name != "kube-root-ca.crt" { try cloud.apply(answer) }
      }
      try cloud.apply(try JSONValue(json: #"{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"worker"}}"#))
      var pod = object
      pod["status"] = nil
      pod["spec"]?["nodeName"] = nil
      try cloud.apply(pod)
    case "Pod" where object.isBeingDeleted && cloud.get("pod", name: object.name)?.isBeingDeleted == false:
      try cloud.delete("pod", name: object.name)
    case "ConfigMap": try cloud.apply(object)
    default: break
    }
  }

  /// Which of this cloud's UIDs and versions stand for the recorded ones.
  private func collect(_ recorded: JSONValue, _ own: JSONValue, into names: inout [String: String]) {
    if let members = recorded.object {
      for member in members {
        guard let other = own[member.key] else { continue }
        if ["uid", "resourceVersion"].contains(member.key), let from = member.value.string, let to = other.string { names[from] = to }
        collect(member.value, other, into: &names)
      }
    } else if let items = recorded.array, let others = own.array {
      for (item, other) in zip(items, others) { collect(item, other, into: &names) }
    }
  }

  /// Where two values have other members or other types.
  private func differences(_ recorded: JSONValue, _ own: JSONValue, _ path: String) -> [String] {
    switch (recorded, own) {
    case (.object(let a), .object(let b)):
      let (left, right) = (Set(a.map(\.key)), Set(b.map(\.key)))
      return left.subtracting(right).sorted().map { "\(path).\($0) is missing" }
        + right.subtracting(left).sorted().map { "\(path).\($0) is too much" }
        + a.flatMap { member in own[member.key].map { differences(member.value, $0, "\(path).\(member.key)") } ?? [] }
    case (.array(let a), .array(let b)):
      guard a.count == b.count else { return ["\(path) has \(b.count) items, not \(a.count)"] }
      return zip(a, b).enumerated().flatMap { differences($1.0, $1.1, "\(path)[\($0)]") }
    case (.string, .string), (.number, .number), (.bool, .bool), (.null, .null): return []
    default: return ["\(path) has another type"]
    }
  }
}
