import Core

/// Passes requests to the cloud and keeps what it answers with.
struct RemoteQueries: Sendable {
  let channel: ChannelContext
  let timeout: Duration
  let writer: StoreWriter
  let publisher: ChangePublisher

  /// - Throws: `MetadataError`.
  func ask(_ request: Message) async throws -> CloudReply {
    // The request has an id of its own: the asker's belongs to the asker.
    let question = Message(route: request.route, content: request.content)
    let reply: Message
    do {
      reply = try await channel.request(question, to: .websocket, timeout: timeout)
    } catch ChannelError.unknownModule, ChannelError.unregistered {
      throw MetadataError(.offline, "there is no connection to the cloud for \(request.resource)")
    } catch ChannelError.timeout {
      throw MetadataError(.timeout, "the cloud did not answer about \(request.resource) within \(timeout)")
    }
    let answer = CloudReply(reply, about: request.resource)
    guard case .object(let object) = answer, let key = ObjectKey(resource: request.resource) else { return answer }
    switch key.type {
    case "nodepatch": await writer.keep(ObjectKey(type: "node", name: key.name), object, publisher)
    case "podpatch": await writer.keep(ObjectKey(namespace: key.namespace, type: "pod", name: key.name), object, publisher)
    case "lease", "serviceaccounttoken", "certificatesigningrequest": break
    default: await writer.keep(key, object, publisher)
    }
    if Acknowledgement.isDue(forReply: reply, of: key.type) { try? await channel.send(Acknowledgement.of(reply), to: .websocket) }
    return answer
  }
}
