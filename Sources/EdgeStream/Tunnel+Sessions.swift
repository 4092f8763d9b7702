import NIOCore
import NIOHTTP1
import WebSocket

extension Tunnel {
  private enum Step: Sendable { case over, goesOn }

  // MARK: Exec and attach

  /// Writes the request to the node's API, and then carries bytes both ways without looking at them.
  ///
  /// - Returns: why it could not be done.
  func relay(_ session: StreamSession, _ request: StreamRequest) async -> String? {
    do {
      let local = try await api.connect()
      try await local.executeThenClose { inbound, outbound in
        try await outbound.write(ByteBuffer(bytes: request.head(host: api.authority)))
        await withTaskGroup(of: Step.self) { tasks in
          tasks.addTask {
            // If the node's end takes nothing any more, what it still says is carried nevertheless.
            do { while let bytes = await session.next() { try await outbound.write(bytes) } } catch {}
            if session.end == .removed { outbound.finish() }
            return .goesOn
          }
          tasks.addTask {
            do { for try await bytes in inbound { guard await self.send(session, bytes) else { break } } } catch {}
            return .over
          }
          tasks.addTask {
            await session.ending()
            return .over
          }
          for await step in tasks where step == .over { break }
          tasks.cancelAll()
        }
      }
      return nil
    } catch let failure as NodeAPI.Failure {
      return "\(failure)"
    } catch {
      if Task.isCancelled || session.end != nil { return nil }
      return "the node's API at \(api.authority) did not take the request: \(ConnectionError.words(error))"
    }
  }

  // MARK: Logs and metrics

  /// Asks the node's API and sends the body of its answer.
  ///
  /// - Returns: why there is none.
  func fetch(_ session: StreamSession, _ request: StreamRequest) async -> String? {
    do {
      let local = try await api.connectHTTP()
      return try await local.executeThenClose { inbound, outbound in
        let head = HTTPRequestHead(
          version: .http1_1, method: .GET, uri: request.target, headers: HTTPHeaders(request.headersOfGet(host: api.authority)))
        try await outbound.write(.head(head))
        try await outbound.write(.end(nil))
        return await withTaskGroup(of: String?.self) { tasks in
          tasks.addTask { await self.carryBody(of: inbound, to: session) }
          tasks.addTask {
            // Nothing is meant to come but the end.
            while await session.next() != nil {}
            return nil
          }
          let problem = await tasks.next() ?? nil
          tasks.cancelAll()
          return problem
        }
      }
    } catch let failure as NodeAPI.Failure {
      return "\(failure)"
    } catch {
      if Task.isCancelled || session.end != nil { return nil }
      return "the node's API at \(api.authority) did not take the request: \(ConnectionError.words(error))"
    }
  }

  private func carryBody(
    of answer: NIOAsyncChannelInboundStream<HTTPClientResponsePart>, to session: StreamSession
  ) async -> String? {
    var status: HTTPResponseStatus?
    var isEmpty = true
    do {
      for try await part in answer {
        switch part {
        case .head(let head): status = head.status
        case .body(let bytes):
          isEmpty = isEmpty && bytes.readableBytes == 0
          guard await send(session, bytes) else { return nil }
        case .end:
          if let status, status.code >= 400, isEmpty { return "the node's API answered \(status.code) \(status.reasonPhrase)" }
          return nil
        }
      }
    } catch {
      if status != nil, !Task.isCancelled, session.end == nil {
        return "the node's API broke its answer off: \(ConnectionError.words(error))"
      }
    }
    if Task.isCancelled || session.end != nil || status != nil { return nil }
    return "the node's API at \(api.authority) ended the connection without an answer"
  }
}
