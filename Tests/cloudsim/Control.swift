import CloudSimulator
import Core
import HTTPServer
import YAML

/// What can be asked of a running cloud over its socket.
enum Control {
  static func socketPath(_ dir: String) -> String { dir + "/control.sock" }

  static func routes(_ cloud: CloudSimulator) -> [Route] {
    [
      Route("POST", "/apply") { request in
        let documents: [YAMLDocument]
        do {
          documents = try YAML.documents(request.body)
        } catch {
          throw ServerError.badRequest("\(error)")
        }
        return .json(
          JSONValue.array(
            try documents.filter { $0.value != .null }.flatMap { document in
              do {
                let applied = try cloud.apply(document.value)
                return applied["items"]?.array ?? [applied]
              } catch {
                throw ServerError.badRequest("line \(document.startLine): \(error)")
              }
            }
          ).jsonBytes())
      },
      Route("GET", "/objects/{kind}") { request in .json(JSONValue.array(cloud.list(request.parameters["kind"] ?? "")).jsonBytes()) },
      Route("GET", "/objects/{kind}/{namespace}/{name}") { request in
        let (kind, namespace, name) = place(request)
        guard let object = cloud.get(kind, namespace: namespace, name: name) else {
          throw ServerError.notFound("\(kind) \"\(name)\" not found")
        }
        return .json(object.jsonBytes())
      },
      Route("DELETE", "/objects/{kind}/{namespace}/{name}") { request in
        let (kind, namespace, name) = place(request)
        do {
          try cloud.delete(kind, namespace: namespace, name: name, gracePeriod: request.queryValue("gracePeriod").flatMap { Int64($0) })
        } catch {
          throw ServerError.notFound("\(error)")
        }
        return .text("ok\n")
      },
      Route("GET", "/token") { _ in .text(cloud.token) },
      Route("GET", "/connected") { _ in .json(JSONValue.array(cloud.connectedNodes.map { .string($0) }).jsonBytes()) },
      Route("GET", "/unacknowledged") { _ in
        .json(
          JSONValue.array(
            cloud.unacknowledged.map { item in
              .object([
                .init("node", .string(item.node)), .init("resource", .string(item.resource)),
                .init("acknowledged", .string(item.acknowledgedVersion)), .init("newest", item.newestVersion.map { .string($0) } ?? .null),
              ])
            }
          ).jsonBytes())
      },
      Route("POST", "/cut") { _ in
        await cloud.cut()
        return .text("ok\n")
      },
      Route("POST", "/restore") { _ in
        do {
          try await cloud.restore()
        } catch {
          throw ServerError(status: 500, message: "can't listen again: \(error)")
        }
        return .text("ok\n")
      },
      Route("GET", "/messages") { request in
        let follow = request.flag("follow")
        return ServerResponse(
          status: 200, contentType: "application/x-ndjson",
          body: .stream { writer in
            if !follow {
              for entry in cloud.transcript { try await writer.write(line(entry)) }
              return
            }
            for await entry in cloud.transcriptEntries() { try await writer.write(line(entry)) }
          })
      },
    ]
  }

  private static func place(_ request: ServerRequest) -> (kind: String, namespace: String, name: String) {
    (request.parameters["kind"] ?? "", request.parameters["namespace"] ?? "default", request.parameters["name"] ?? "")
  }

  /// A line of the transcript as JSON: time, direction, node and message.
  private static func line(_ entry: TranscriptEntry) -> [UInt8] {
    let head = JSONValue.object([
      .init("dir", .string(entry.direction == .toNode ? "cloud->edge" : "edge->cloud")), .init("node", .string(entry.node)),
    ]).jsonText().dropLast()
    var text = entry.text[...]
    while text.last == 0x0A { text.removeLast() }
    let message = entry.message == nil ? JSONValue.string(String(decoding: text, as: UTF8.self)).jsonBytes()[...] : text
    return Array(head.utf8) + Array(#","msg":"#.utf8) + message + Array("}\n".utf8)
  }
}
