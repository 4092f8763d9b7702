import Core
import Testing

@testable import EdgeHub

@Suite struct TokenBucketTests {
  private let start = ContinuousClock.now

  @Test func `lets a burst go, then the rate`() {
    var bucket = TokenBucket(rate: 10, burst: 3, now: start)
    for _ in 0..<3 { #expect(bucket.take(at: start) == .zero) }
    #expect(bucket.take(at: start) == .milliseconds(100))
    #expect(bucket.take(at: start) == .milliseconds(200))
    // The two that were promised are used up then.
    #expect(bucket.take(at: start + .milliseconds(200)) == .milliseconds(100))
  }

  @Test func `saves up no more than the burst`() {
    var bucket = TokenBucket(rate: 10, burst: 2, now: start)
    let later = start + .seconds(1000)
    #expect(bucket.take(at: later) == .zero)
    #expect(bucket.take(at: later) == .zero)
    #expect(bucket.take(at: later) == .milliseconds(100))
  }

  @Test func `has no limit at rate 0`() {
    var bucket = TokenBucket(rate: 0, burst: 0, now: start)
    for _ in 0..<1000 { #expect(bucket.take(at: start) == .zero) }
  }
}

@Suite struct MessageQueueTests {
  private func message(_ number: Int) -> Message {
    Message(header: .init(id: "\(number)"), route: .init(source: "test", operation: .update, resource: "r"))
  }

  @Test(.timeLimit(.minutes(1))) func `keeps the order, and makes who puts in wait`() async {
    let queue = MessageQueue(capacity: 2)
    async let putting: Void = {
      for number in 0..<100 { _ = await queue.put(message(number)) }
      queue.finish()
    }()
    var ids: [String] = []
    while let message = await queue.next() { ids.append(message.id) }
    await putting
    #expect(ids == (0..<100).map { "\($0)" })
  }

  @Test(.timeLimit(.minutes(1))) func `gives back what is left, and lets nobody wait`() async {
    let queue = MessageQueue(capacity: 1)
    #expect(await queue.put(message(1)))
    async let second = queue.put(message(2))
    #expect(queue.close().count <= 1)
    _ = await second
    #expect(await queue.put(message(3)) == false)
    #expect(await queue.next() == nil)
  }

  @Test(.timeLimit(.minutes(1))) func `a cancelled task waits no more`() async {
    let queue = MessageQueue(capacity: 1)
    let taking = Task { await queue.next() }
    taking.cancel()
    #expect(await taking.value == nil)
  }
}

@Suite struct MuteWatchTests {
  @Test(.timeLimit(.minutes(1))) func `a cloud that says nothing is mute`() async {
    let watch = MuteWatch(limit: .milliseconds(50))
    watch.noteRequest()
    await watch.run()
  }

  @Test(.timeLimit(.minutes(1))) func `one that says something is not`() async throws {
    let watch = MuteWatch(limit: .milliseconds(50))
    let running = Task {
      await watch.run()
      return Task.isCancelled
    }
    watch.noteRequest()
    watch.noteActivity()
    watch.note(delivering: true)
    watch.noteRequest()
    try await Task.sleep(for: .milliseconds(300))
    running.cancel()
    #expect(await running.value)
  }
}

@Suite struct OpenRequestsTests {
  @Test func `forgets an answered request, and takes none after its end`() {
    let requests = OpenRequests()
    let one = Message(route: .init(source: "test", operation: .query, resource: "a"), content: Array("\"big\"".utf8))
    let two = Message(route: .init(source: "test", operation: .query, resource: "b"))
    #expect(requests.add(one) && requests.add(two))
    #expect(requests.remove(two.id) && !requests.remove(two.id))
    #expect(requests.close().map(\.id) == [one.id])
    #expect(!requests.add(two))
  }
}

@Suite struct WireTextTests {
  @Test func `what follows a message is ignored`() throws {
    let text = #"{"header":{"msg_id":"1","timestamp":1},"route":{"resource":"a}\"b"},"content":{"x":"\\\"}"}}"#
    for trailer in ["", "\n", "\n{}", "garbage", "}"] {
      let message = try WireText.message(Array((text + trailer).utf8))
      #expect(message.id == "1" && message.resource == "a}\"b")
      #expect(message.content == Array(#"{"x":"\\\"}"}"#.utf8))
    }
    for text in ["", "x", "}", "{", "[1]", #"{"header":{}}"#] {
      #expect(throws: MessageError.self) { try WireText.message(Array(text.utf8)) }
    }
  }
}
