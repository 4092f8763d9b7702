import Core
import KubernetesAPI
import YAML

/// Answers the questions of other modules.
struct Answers: Sendable {
  /// Types that only change by the cloud's messages once they are here: the copy is as good as the original.
  private static let keptTypes: Set<String> = ["pod", "configmap", "secret", "node", "service", "endpoints", "serviceaccountaccess"]
  let store: MetaStore
  let own: StoreAnswers
  let remote: RemoteQueries
  let writer: StoreWriter

  func answer(_ request: Message) async -> Message {
    do {
      let content = try await content(request)
      return Message.reply(to: request, from: .metaManager, content: content)
    } catch {
      let error = error as? MetadataError ?? MetadataError(.unavailable, "\(error)")
      return Message.reply(to: request, from: .metaManager, operation: .error, content: error.content)
    }
  }

  private func content(_ request: Message) async throws -> [UInt8] {
    guard let type = ObjectKey.type(ofResource: request.resource) else {
      throw MetadataError(.refused, "\"\(request.resource)\" names no object; it has to be namespace/type or namespace/type/name")
    }
    let key = ObjectKey(resource: request.resource)
    if type == StoreAnswers.type, let key { return try await own.answer(request, key) }
    guard request.operation == .query else { return try await asked(request) }
    guard let key else { return try await list(type) }
    if type == TokenKey.type { return try await token(request, key) }
    if let kept = Self.keptTypes.contains(type) ? try await store.row(key.resource) : nil { return kept }
    if type == "pod" { throw MetadataError(.notFound, "the node has no pod \(key.namespace)/\(key.name)") }
    do {
      return try await asked(request)
    } catch let error as MetadataError where error.kind == .offline {
      if let stored = try await store.row(key.resource) { return stored }
      throw error
    }
  }

  private func asked(_ request: Message) async throws -> [UInt8] {
    switch try await remote.ask(request) {
    case .object(let object): return object
    case .done: return Array("\"OK\"".utf8)
    case .failure(let error): throw error
    }
  }

  /// An object of all objects, by their keys.
  private func list(_ type: String) async throws -> [UInt8] {
    // What was reported of a pod and didn't arrive yet is newer than what the cloud has.
    let rows =
      type == "podpatch"
      ? try await store.owed().filter { $0.slot == .status }.map { ($0.resource, Self.payload($0.content)) }
      : try await store.rows(ofType: type)
    var bytes: [UInt8] = [0x7B]
    for (key, value) in rows where !value.isEmpty {
      if bytes.count > 1 { bytes.append(0x2C) }
      bytes += JSONValue.string(key).jsonBytes()
      bytes.append(0x3A)
      bytes += value
    }
    return bytes + [0x7D]
  }

  private static func payload(_ content: [UInt8]) -> [UInt8] {
    (try? JSONValue(json: content))?.string.map { Array($0.utf8) } ?? content
  }

  // MARK: Tokens

  /// A fresh token; an older one rather than none when the cloud is away.
  private func token(_ request: Message, _ key: ObjectKey) async throws -> [UInt8] {
    guard let tokenKey = TokenKey(namespace: key.namespace, serviceAccount: key.name, request: request.payload) else {
      throw MetadataError(.refused, "the request for a token of \(key.namespace)/\(key.name) is no TokenRequest")
    }
    let stored = try await store.row(tokenKey.text)
    if let stored, StoredToken(stored, expirationSeconds: tokenKey.expirationSeconds)?.isFresh(at: .now) == true { return stored }
    do {
      let token = try await asked(request)
      _ = try await writer.apply([.putRow(key: tokenKey.text, type: TokenKey.type, value: token)])
      return token
    } catch let error as MetadataError where error.kind == .offline || error.kind == .timeout {
      guard let stored else { throw error }
      return stored
    }
  }
}
