import Core
import Synchronization
import Testing

func message(_ text: String = "0", from source: String = "test") -> Message {
  Message(route: .init(source: source, operation: .message, resource: "r"), content: Array(text.utf8))
}

func text(_ message: Message) -> String { String(decoding: message.content, as: UTF8.self) }

/// A value that tasks share.
final class Locked<Value: Sendable>: Sendable {
  private let mutex: Mutex<Value>
  init(_ value: Value) { mutex = Mutex(value) }
  var value: Value {
    get { mutex.withLock { $0 } }
    set { mutex.withLock { $0 = newValue } }
  }
  func change(_ body: (inout Value) -> Void) {
    mutex.withLock { value in body(&value) }
  }
}

/// Lets other tasks run until something holds; an issue if it doesn't within a generous time.
func expectEventually(sourceLocation: SourceLocation = #_sourceLocation, _ holds: @Sendable () async -> Bool) async {
  let deadline = ContinuousClock.now + .seconds(30)
  while ContinuousClock.now < deadline {
    if await holds() { return }
    try? await Task.sleep(for: .milliseconds(2))
  }
  if await !holds() { Issue.record("it never came to be", sourceLocation: sourceLocation) }
}

@Suite struct ChannelTests {
  let context = ChannelContext()

  @Test func deliversInOrder() async throws {
    try context.register("a", group: "g")
    for index in 0..<100 { try await context.send(message("\(index)"), to: "a") }
    var received: [String] = []
    for await message in context.messages(for: "a") {
      received.append(text(message))
      if received.count == 100 { break }
    }
    #expect(received == (0..<100).map { "\($0)" })
    #expect(context.statistics().mailboxes.first?.depth == 0)
    #expect(context.statistics().mailboxes.first?.highestDepth == 100)
  }

  @Test func namesTheUnknown() async throws {
    await #expect(throws: ChannelError.unknownModule("nobody")) { try await context.send(message(), to: "nobody") }
    await #expect(throws: ChannelError.unknownGroup("none")) { try await context.send(message(), toGroup: "none") }
    await #expect(throws: ChannelError.unknownModule("nobody")) { try await context.receive("nobody") }
    await #expect(throws: ChannelError.unknownModule("nobody")) { try await context.request(message(), to: "nobody") }
    try context.register("a")
    #expect(throws: ChannelError.alreadyRegistered("a")) { try context.register("a") }
    #expect(throws: ChannelError.unknownModule("b")) { try context.add("b", to: "g") }
    for await _ in context.messages(for: "nobody") { Issue.record("a message out of nothing") }
  }

  @Test func fullMailboxMakesSendersWaitInOrder() async throws {
    try context.register("a", capacity: 2)
    try await context.send(message("0"), to: "a")
    try await context.send(message("1"), to: "a")
    var senders: [Task<Void, any Error>] = []
    for index in 2..<6 {
      senders.append(Task { [context] in try await context.send(message("\(index)"), to: "a") })
      await expectEventually { [context] in context.statistics().mailboxes.first?.waitingSenders == index - 1 }
    }
    #expect(context.statistics().mailboxes.first?.depth == 2)
    for index in 0..<6 { #expect(text(try await context.receive("a")) == "\(index)") }
    for sender in senders { try await sender.value }
    #expect(context.statistics().mailboxes.first?.waits == 4)
  }

  @Test func waitingSenderCanBeCancelled() async throws {
    try context.register("a", capacity: 1)
    try await context.send(message("kept"), to: "a")
    let sender = Task { [context] in try await context.send(message("withdrawn"), to: "a") }
    await expectEventually { [context] in context.statistics().mailboxes.first?.waitingSenders == 1 }
    sender.cancel()
    await #expect(throws: CancellationError.self) { try await sender.value }
    #expect(context.statistics().mailboxes.first?.waitingSenders == 0)
    #expect(text(try await context.receive("a")) == "kept")
  }

  @Test func receiverCanBeCancelledWithoutLosingMessages() async throws {
    try context.register("a")
    let receiver = Task { [context] in try await context.receive("a") }
    receiver.cancel()
    await #expect(throws: CancellationError.self) { try await receiver.value }
    try await context.send(message("1"), to: "a")
    #expect(text(try await context.receive("a")) == "1")
  }

  @Test func newConsumerTakesOver() async throws {
    try context.register("a")
    let old = Task { [context] in
      var count = 0
      for await _ in context.messages(for: "a") { count += 1 }
      return count
    }
    try await context.send(message("first"), to: "a")
    await expectEventually { [context] in context.statistics().mailboxes.first?.received == 1 }
    let new = Task { [context] in
      // The old one may come in between once more, and is superseded in its turn.
      while true {
        do { return try await context.receive("a") } catch ChannelError.superseded {}
      }
    }
    _ = await old.value
    try await context.send(message("second"), to: "a")
    #expect(text(try await new.value) == "second")
  }

  @Test func requestIsAnswered() async throws {
    try context.register("a", group: "g")
    let server = Task { [context] in
      for await request in context.messages(for: "a") {
        #expect(request.header.sync)
        #expect(context.respond(to: request, with: .reply(to: request, content: request.content)))
        #expect(!context.respond(to: request, with: .reply(to: request)))
      }
    }
    for index in 0..<50 { #expect(text(try await context.request(message("\(index)"), to: "a", timeout: .seconds(30))) == "\(index)") }
    context.unregister("a")
    await server.value
    let statistics = context.statistics()
    #expect(statistics.answers == 50)
    #expect(statistics.lateAnswers == 50)
    #expect(statistics.pendingRequests == 0)
  }

  @Test func requestTimesOutDeliveredOrNot() async throws {
    try context.register("a", capacity: 1)
    let first = message("1")
    let second = message("2")
    await #expect(throws: ChannelError.timeout(module: "a", messageID: first.id, limit: .milliseconds(30), delivered: true)) {
      try await context.request(first, to: "a", timeout: .milliseconds(30))
    }
    await #expect(throws: ChannelError.timeout(module: "a", messageID: second.id, limit: .milliseconds(30), delivered: false)) {
      try await context.request(second, to: "a", timeout: .milliseconds(30))
    }
    #expect(text(try await context.receive("a")) == "1")
    #expect(context.statistics().mailboxes.first?.depth == 0, "a request that timed out must not be delivered afterwards")
    #expect(!context.respond(to: first, with: .reply(to: first)))
    #expect(context.statistics().timeouts == 2)
    #expect(context.statistics().lateAnswers == 1)
  }

  @Test func shorterTimeoutIsNotHeldUpByALongerOne() async throws {
    try context.register("a")
    let long = Task { [context] in try await context.request(message(), to: "a", timeout: .seconds(600)) }
    await expectEventually { [context] in context.statistics().pendingRequests == 1 }
    await #expect(throws: ChannelError.self) { try await context.request(message(), to: "a", timeout: .milliseconds(20)) }
    long.cancel()
    await #expect(throws: CancellationError.self) { try await long.value }
    #expect(context.statistics().pendingRequests == 0)
    await #expect(throws: ChannelError.self) { try await context.request(message(), to: "a", timeout: .milliseconds(20)) }
  }

  @Test func unregisteringFailsWhoeverWaits() async throws {
    try context.register("a", capacity: 1)
    try await context.send(message(), to: "a")
    let sender = Task { [context] in try await context.send(message(), to: "a") }
    let parked = Task { [context] in try await context.request(message(), to: "a", timeout: .seconds(600)) }
    await expectEventually { [context] in context.statistics().mailboxes.first?.waitingSenders == 2 }
    try context.register("b")
    let request = Task { [context] in try await context.request(message(), to: "b", timeout: .seconds(600)) }
    await expectEventually { [context] in context.statistics().mailboxes.last?.depth == 1 }
    context.unregister("a")
    context.unregister("b")
    await #expect(throws: ChannelError.unregistered("a")) { try await sender.value }
    await #expect(throws: ChannelError.unregistered("a")) { try await parked.value }
    await #expect(throws: ChannelError.unregistered("b")) { try await request.value }
    #expect(context.statistics().discarded == 2)
    #expect(!context.isRegistered("a"))
  }

  @Test func nobodyWaitsForAModuleThatHasFailed() async throws {
    try context.register("a", capacity: 2)
    for index in 0..<2 { try await context.send(message("\(index)"), to: "a") }
    let (late, later) = (message("waits"), message("3"))
    let waiting = Task { [context] in try await context.send(late, to: "a") }
    while context.statistics().mailboxes.first?.waitingSenders != 1 { await Task.yield() }
    context.leaveUnattended("a")
    await #expect(throws: ChannelError.unregistered("a")) { try await waiting.value }
    await #expect(throws: ChannelError.unregistered("a")) { try await context.send(message("full"), to: "a") }
    await #expect(throws: ChannelError.unregistered("a")) { try await context.request(message("full"), to: "a") }
    // What had room is there for its next run, and then senders wait again.
    #expect(text(try await context.receive("a")) == "0")
    try await context.send(message("2"), to: "a")
    let again = Task { [context] in try await context.send(later, to: "a") }
    while context.statistics().mailboxes.first?.waitingSenders != 1 { await Task.yield() }
    for expected in ["1", "2", "3"] { #expect(text(try await context.receive("a")) == expected) }
    try await again.value
  }

  @Test func groupsReachEveryMember() async throws {
    try context.register("a", group: "g", capacity: 1)
    try context.register("b", group: "g")
    try context.register("c")
    try context.add("c", to: "g")
    #expect(context.members(of: "g") == ["a", "b", "c"])
    try await context.send(message("fill"), to: "a")
    // The full member holds up the sender, not the others.
    let sender = Task { [context] in try await context.send(message("all"), toGroup: "g") }
    #expect(text(try await context.receive("b")) == "all")
    #expect(text(try await context.receive("c")) == "all")
    #expect(text(try await context.receive("a")) == "fill")
    #expect(text(try await context.receive("a")) == "all")
    try await sender.value
    context.remove("b", from: "g")
    context.unregister("c")
    #expect(context.members(of: "g") == ["a"])
  }

  @Test func groupRequestEndsWhenAllHaveAnswered() async throws {
    for name in ["a", "b", "mute"] as [ModuleName] { try context.register(name, group: "g") }
    let servers = (["a", "b"] as [ModuleName]).map { name in
      Task { [context] in
        for await request in context.messages(for: name) {
          context.respond(to: request, with: .reply(to: request, content: Array(name.rawValue.utf8)))
        }
      }
    }
    let leaving = Task { [context] in
      _ = try await context.receive("mute")
      context.unregister("mute")
    }
    let answers = try await context.request(message(), toGroup: "g", timeout: .seconds(600))
    try await leaving.value
    #expect(answers.count == 3)
    #expect(try answers["a"].map { text(try $0.get()) } == "a")
    #expect(try answers["b"].map { text(try $0.get()) } == "b")
    #expect(throws: ChannelError.unregistered("mute")) { try answers["mute"]?.get() }
    context.unregister("a")
    context.unregister("b")
    for server in servers { await server.value }
  }

  @Test func tapSeesWhatPassesAndSaysWhatItMissed() async throws {
    try context.register("a", group: "g")
    let tap = context.tap(capacity: 2)
    for index in 0..<5 { try await context.send(message("\(index)"), to: "a") }
    var iterator = tap.makeAsyncIterator()
    #expect(text(try #require(await iterator.next()).message) == "0")
    #expect(text(try #require(await iterator.next()).message) == "1")
    try await context.send(message("5"), to: "a")
    let next = try #require(await iterator.next())
    #expect(text(next.message) == "5")
    #expect(next.destination == "a")
    #expect(next.kind == .send)
    #expect(next.lostBefore == 3)
    #expect(context.statistics().tapLosses == 3)
  }
}
