import Core

/// How fast modules pass messages to each other.
struct ChannelBenchmark {
  var messages = 1_000_000
  var requests = 100_000
  var rounds = 5

  func run(into report: inout Report) async throws {
    progress("channel context")
    for senders in [1, 8] {
      var rates: [Double] = []
      for _ in 0..<rounds { rates.append(try await rate(senders: senders)) }
      let median = rates.median ?? 0
      report.add(
        "Channel: messages, \(senders == 1 ? "one to one" : "\(senders) to 1")", "\(median.grouped)/s",
        bar: senders == 1 ? "≥ 500 000/s" : "", isMet: senders == 1 ? median >= 500_000 : nil)
    }
    let times = try await requestTimes()
    let p50 = (times.percentile(0.5) ?? .zero) / .microseconds(1)
    let p99 = (times.percentile(0.99) ?? .zero) / .microseconds(1)
    report.add("Channel: request and answer, p50 / p99", "\(p50.text(1)) µs / \(p99.text(1)) µs")
  }

  private func message(_ number: Int) -> Message {
    Message(
      route: .init(source: "edged", group: "meta", operation: .update, resource: "default/pod/pod-\(number)"),
      content: Array(#"{"metadata":{"name":"pod-\#(number)","namespace":"default"}}"#.utf8))
  }

  /// Messages a second, from the first that is sent to the last that is received.
  private func rate(senders: Int) async throws -> Double {
    let channel = ChannelContext()
    let receiver = ModuleName("receiver")
    try channel.register(receiver)
    let samples = (0..<1024).map(message)
    let share = messages / senders
    let begin = ContinuousClock.now
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        var left = share * senders
        for await _ in channel.messages(for: receiver) {
          left -= 1
          if left == 0 { return }
        }
        throw Failure("the channel ended before all messages came")
      }
      for _ in 0..<senders {
        tasks.addTask {
          for number in 0..<share { try await channel.send(samples[number & 1023], to: receiver) }
        }
      }
      try await tasks.waitForAll()
    }
    return Double(share * senders) / (begin.duration(to: .now) / .seconds(1))
  }

  private func requestTimes() async throws -> [Duration] {
    let channel = ChannelContext()
    let answerer = ModuleName("answerer")
    try channel.register(answerer)
    async let answering: Void = {
      for await request in channel.messages(for: answerer) {
        channel.respond(to: request, with: .reply(to: request, from: answerer))
      }
    }()
    var times: [Duration] = []
    times.reserveCapacity(requests)
    for number in 0..<requests {
      let request = message(number)
      let begin = ContinuousClock.now
      _ = try await channel.request(request, to: answerer)
      times.append(begin.duration(to: .now))
    }
    channel.unregister(answerer)
    await answering
    return times
  }
}
