import Core
import HTTPServer
import Synchronization
import YAML

/// Requests of applications to the cloud. Whatever becomes of one, the HTTP status is 200 and the outcome is in the answer's body.
final class LocalRequests: Sendable {
  private struct State {
    var count = 0
    var whenIdle: [CheckedContinuation<Void, Never>] = []
  }

  private let targets: TargetURLs
  private let channel: ChannelContext
  private let timeout: Duration
  private let access: LocalAccess
  private let limits: BusLimits
  private let status: ServiceBusStatus
  private let state = Mutex(State())

  init(
    targets: TargetURLs, channel: ChannelContext, timeout: Duration, access: LocalAccess, limits: BusLimits, status: ServiceBusStatus
  ) {
    self.targets = targets
    self.channel = channel
    self.timeout = timeout
    self.access = access
    self.limits = limits
    self.status = status
  }

  // MARK: Answers

  @Sendable func answer(_ request: ServerRequest) async -> ServerResponse {
    if let refusal = access.refusal(of: request) { return refuse(refusal) }
    guard begin() else {
      status.note(request: .refused)
      return LocalAnswer(code: 503, message: "\(limits.requests) requests wait for the cloud already").response
    }
    defer { end() }
    let answer = await answer(to: request.body)
    status.note(request: answer.code == 200 ? .answered : .failed)
    return answer.response
  }

  /// Answers a request without its body.
  @Sendable func refuse(_ refusal: BodyRefusal, _ request: ServerRequest) -> ServerResponse {
    if let refusal = access.refusal(of: request) { return refuse(refusal) }
    status.note(request: .refused)
    return switch refusal {
    case .tooLarge: LocalAnswer(code: 400, message: "can't read data from body of the http's request").response
    case .noRoom: LocalAnswer(code: 503, message: "too many bytes of requests wait for the cloud already").response
    }
  }

  private func refuse(_ refusal: ServerError) -> ServerResponse {
    status.note(request: .refused)
    return .text(refusal.message + "\n", status: refusal.status)
  }

  private func answer(to body: [UInt8]) async -> LocalAnswer {
    guard let target = Self.target(in: body) else { return LocalAnswer(code: 400, message: "invalid params") }
    guard targets.contains(target) else {
      return LocalAnswer(code: 400, message: "url \(target) is not allowed and please make a rule for this url in the cloud")
    }
    let message = Message(
      route: .init(source: ModuleName.serviceBus.rawValue, group: ModuleGroup.user.rawValue, operation: .upload, resource: target),
      content: Base64.json(body))
    do {
      let answer = try await channel.request(message, to: .websocket, timeout: timeout)
      guard answer.operation != .error else { return LocalAnswer(code: 400, message: Self.words(MetadataError(content: answer.content))) }
      return LocalAnswer(code: 200, message: "receive response from cloud successfully", body: answer)
    } catch ChannelError.timeout {
      return LocalAnswer(code: 400, message: "timeout to get response for message \(message.id)")
    } catch ChannelError.unknownModule, ChannelError.unregistered {
      return LocalAnswer(code: 400, message: "the cloud is away: the agent has no connection to one")
    } catch {
      return LocalAnswer(code: 400, message: "the agent ends")
    }
  }

  private static func words(_ error: MetadataError) -> String {
    error.kind != .offline || error.message.hasPrefix("the cloud is away") ? error.message : "the cloud is away: \(error.message)"
  }

  /// What a request is for; nil if it is no such request. Names are matched ignoring case, as the cloud does.
  private static func target(in body: [UInt8]) -> String? {
    guard let members = try? JSONScan.members(of: body) else { return nil }
    var target = ""
    for (key, range) in members {
      let name = key.lowercased()
      guard name == "targeturl" || name == "method" else { continue }
      guard let value = try? JSONValue(json: Array(body[range])) else { return nil }
      if value == .null { continue }
      guard let text = value.string else { return nil }
      if name == "targeturl" { target = text }
    }
    return target
  }

  // MARK: What is under way

  private func begin() -> Bool {
    state.withLock { state in
      guard state.count < limits.requests else { return false }
      state.count += 1
      return true
    }
  }

  private func end() {
    let idle = state.withLock { state -> [CheckedContinuation<Void, Never>] in
      state.count -= 1
      guard state.count == 0 else { return [] }
      defer { state.whenIdle = [] }
      return state.whenIdle
    }
    for waiter in idle { waiter.resume() }
  }

  /// Returns when nothing is under way, or the time is up.
  func waitUntilIdle(atMost limit: Duration) async {
    let timer = Task {
      try? await Task.sleep(for: limit)
      let waiters = state.withLock { state in
        defer { state.whenIdle = [] }
        return state.whenIdle
      }
      for waiter in waiters { waiter.resume() }
    }
    await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let isIdle = state.withLock { state in
          if state.count == 0 || timer.isCancelled { return true }
          state.whenIdle.append(continuation)
          return false
        }
        if isIdle { continuation.resume() }
      }
    } onCancel: {
      timer.cancel()
    }
    timer.cancel()
    await timer.value
  }
}

/// What an application is told: `{"code":200,"msg":"…","body":"…"}`.
struct LocalAnswer: Sendable {
  var code: Int
  var message: String
  /// What the cloud said.
  var body: Message?

  var response: ServerResponse {
    var bytes = Array("{\"code\":\(code),\"msg\":".utf8)
    bytes += JSONValue.string(message).jsonBytes()
    bytes += Array(",\"body\":".utf8)
    if let body {
      // A string stands there as it is.
      let isString = body.content.first == 0x22
      bytes += isString ? body.content : JSONValue.string(String(decoding: body.content, as: UTF8.self)).jsonBytes()
    } else {
      bytes += Array("\"\"".utf8)
    }
    bytes.append(0x7D)
    return .json(bytes)
  }
}
