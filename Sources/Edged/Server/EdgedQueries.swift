import Core
import KubernetesAPI
import LocalAPI
import Runtime
import YAML

/// Answers questions about pods that come as messages: operation `query`, resource `pod`, `<namespace>/pod/<name>`, `event`,
/// `image` or `stats`. The content of an answer is JSON; of an error, a text.
struct EdgedQueries: Sendable {
  var node: EdgedNode

  func answer(_ message: Message) async -> Message {
    do {
      guard message.operation == .query else { throw QueryError(problem: "edged can't \(message.operation); it answers query") }
      return .reply(to: message, from: .edged, content: try await content(message.resource).jsonBytes())
    } catch {
      return .reply(to: message, from: .edged, operation: .error, content: JSONValue.string("\(error)").jsonBytes())
    }
  }

  private func content(_ resource: String) async throws -> JSONValue {
    let parts = resource.split(separator: "/").map(String.init)
    switch (parts.count, parts.count > 1 ? parts[1] : parts.first) {
    case (1, "pod"): return try await pods()
    case (3, "pod"): return try await pod(namespace: parts[0], name: parts[2])
    case (1, "event"): return try JSONValue(encoding: node.events.all())
    case (1, "image"): return try await images()
    case (1, "stats"): return try await stats()
    default: throw QueryError(problem: "edged knows no \(resource); it answers pod, <namespace>/pod/<name>, event, image, stats")
    }
  }

  private func pods() async throws -> JSONValue {
    let items = try await node.pods.all.map { try $0.object() }
    return .object([.init("items", .array(items)), .init("problems", try JSONValue(encoding: problems { _ in true }))])
  }

  private func pod(namespace: String, name: String) async throws -> JSONValue {
    let found = await node.pods.all.last { $0.pod.namespace == namespace && $0.pod.name == name }
    let suffix = "-\(node.operations.node.name)"
    let written = name.hasSuffix(suffix) ? String(name.dropLast(suffix.count)) : name
    let problems = problems { $0 == written || $0 == name }
    if found == nil, problems.isEmpty { throw QueryError(problem: "no pod \(namespace)/\(name) on this node") }
    var answer = JSONValue.object([])
    if let found {
      answer["pod"] = try found.object()
      answer["events"] = try JSONValue(encoding: node.events.events(forPodUID: found.pod.uid))
    }
    answer["problems"] = try JSONValue(encoding: problems)
    return answer
  }

  private func problems(of isWanted: (String?) -> Bool) -> [LocalAPI.ManifestProblem] {
    node.manifestProblems.filter { isWanted($0.podName) }.map {
      LocalAPI.ManifestProblem(file: $0.file, line: $0.line, pod: $0.podName, field: $0.field, message: $0.message)
    }
  }

  private func images() async throws -> JSONValue {
    let images = try await node.runtime.listImages().map {
      ImageSummary(id: $0.id, tags: $0.repoTags, digests: $0.repoDigests, size: $0.size, pinned: $0.pinned)
    }
    return try JSONValue(encoding: images.sorted { ($0.tags.first ?? "", $0.id) < ($1.tags.first ?? "", $1.id) })
  }

  /// As `/stats/summary` tells it, of this moment.
  private func stats() async throws -> JSONValue {
    let operations = node.operations
    let summary = StatsSummary(
      nodeName: operations.node.name, sample: try await node.stats.sample(.now), files: try await node.stats.fileUsage(),
      agentStarted: operations.agentStarted)
    return summary.json
  }
}

/// A question that has no answer.
struct QueryError: Error, CustomStringConvertible {
  var problem: String
  var description: String { problem }
}

extension WishedPod {
  /// The object as it came, with what the node added and its status: no field is lost that isn't modelled.
  func object() throws -> JSONValue { try JSONValue(json: raw).overlaid(with: try JSONValue(encoding: pod)) }
}

extension JSONValue {
  /// The value with the members of `other` set, member by member; arrays of one length are overlaid item by item.
  func overlaid(with other: JSONValue) -> JSONValue {
    switch (self, other) {
    case (.object, .object(let members)):
      var result = self
      for member in members { result[member.key] = (self[member.key] ?? .null).overlaid(with: member.value) }
      return result
    case (.array(let mine), .array(let theirs)) where mine.count == theirs.count:
      return .array(zip(mine, theirs).map { $0.overlaid(with: $1) })
    default: return other
    }
  }
}
