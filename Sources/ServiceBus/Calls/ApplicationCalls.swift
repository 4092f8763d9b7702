import Core
import Curl
import Logging
import Synchronization

/// Passes requests of the cloud's clients to applications on this node, and their answers back.
final class ApplicationCalls: Sendable {
  private struct State {
    var calls = 0
    var bytes = 0
    var refusals = 0
  }

  private let channel: ChannelContext
  private let client: HTTPClient
  private let limits: BusLimits
  private let status: ServiceBusStatus
  private let logger: Logger
  private let state = Mutex(State())

  init(channel: ChannelContext, client: HTTPClient, limits: BusLimits, status: ServiceBusStatus, logger: Logger) {
    self.channel = channel
    self.client = client
    self.limits = limits
    self.status = status
    self.logger = logger
  }

  /// The work that a message makes; nil if there is too much of it already, even of telling so.
  func take(_ message: Message) -> (@Sendable () async -> Void)? {
    // Others' messages come in the same way and must not wait: what is too much is refused at once.
    if begin(message.content.count) {
      return {
        await self.carryOut(message)
        self.end(message.content.count)
      }
    }
    status.note(call: .refused)
    guard
      state.withLock({ state in
        guard state.refusals < limits.refusals else { return false }
        state.refusals += 1
        return true
      })
    else { return nil }
    // The content may be big, and an answer needs only the rest.
    let head = Message(header: message.header, route: message.route)
    return {
      await self.send(.failure(503, "too many requests wait for applications on this node"), to: head)
      self.state.withLock { $0.refusals -= 1 }
    }
  }

  private func carryOut(_ message: Message) async {
    var held = 0
    defer { giveBack(held) }
    do throws(CallAnswer) {
      let call = try Call(message)
      let answer = try await self.answer(call, holding: &held)
      status.note(call: .answered)
      await send(answer, to: message)
    } catch {
      if Task.isCancelled { return }
      status.note(call: .failed)
      await send(error, to: message)
    }
  }

  /// - Parameter held: bytes that are reserved for the answer.
  /// - Throws: what is answered in the application's place.
  private func answer(_ call: Call, holding held: inout Int) async throws(CallAnswer) -> CallAnswer {
    var request = HTTPRequest(call.method, call.url, headers: call.headers, body: call.body.isEmpty ? .none : .bytes(call.body))
    request.timeout = limits.callTimeout
    request.connectTimeout = limits.callTimeout
    // Over a connection that was kept it could be lost, and may not be repeated.
    request.isolatesConnection = ["POST", "PATCH"].contains(call.method)
    let response: HTTPResponse
    do {
      response = try await client.execute(request)
    } catch {
      logger.info("an application can't be called", metadata: ["error": "\(error)"])
      throw .failure(404, "error to call service")
    }
    var body: [UInt8] = []
    do {
      for try await chunk in response.body {
        let piece = chunk.prefix(limits.body - body.count)
        guard reserve(piece.count) else {
          throw CallAnswer.failure(503, "too many bytes wait for the cloud on this node")
        }
        held += piece.count
        body += piece
        if body.count == limits.body { break }
      }
    } catch let error as CallAnswer {
      throw error
    } catch {
      logger.info("an application's answer is incomplete", metadata: ["error": "\(error)"])
      throw .failure(500, "error to receive response, err: \((error as? HTTPError)?.message ?? "\(error)")")
    }
    return CallAnswer(status: response.status, headers: response.headers, body: body)
  }

  private func send(_ answer: CallAnswer, to message: Message) async {
    let reply = Message(
      header: .init(parentID: message.id),
      // Without the operation the cloud doesn't find who waits for it.
      route: .init(source: ModuleName.serviceBus.rawValue, group: ModuleGroup.user.rawValue, operation: .upload, resource: ""),
      content: answer.json)
    do {
      // It counts as under way until it is sent.
      _ = try await channel.request(reply, to: .websocket, timeout: limits.sending)
    } catch {
      logger.debug("an answer is lost", metadata: ["error": "\(error)"])
    }
  }

  // MARK: What is under way

  private func begin(_ bytes: Int) -> Bool {
    state.withLock { state in
      guard state.calls < limits.calls, state.bytes + bytes <= limits.callBytes else { return false }
      state.calls += 1
      state.bytes += bytes
      return true
    }
  }

  private func end(_ bytes: Int) {
    state.withLock { state in
      state.calls -= 1
      state.bytes -= bytes
    }
  }

  private func reserve(_ bytes: Int) -> Bool {
    state.withLock { state in
      guard state.bytes + bytes <= limits.callBytes else { return false }
      state.bytes += bytes
      return true
    }
  }

  private func giveBack(_ bytes: Int) { state.withLock { $0.bytes -= bytes } }
}
