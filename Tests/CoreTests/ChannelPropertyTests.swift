import Core
import Testing

/// What must hold however tasks are interleaved.
@Suite(.timeLimit(.minutes(5))) struct ChannelPropertyTests {
  @Test(arguments: [1, 2, 7, 64, 1024])
  func nothingLostNothingDoubledOrderKept(capacity: Int) async throws {
    let context = ChannelContext()
    try context.register("a", capacity: capacity)
    let (senders, each) = (6, 1500)
    let highest = Locked(0)
    let received = Task {
      var lists: [String: [Int]] = [:]
      for await message in context.messages(for: "a") {
        lists[message.route.source, default: []].append(Int(text(message)) ?? -1)
        let depth = context.statistics().mailboxes.first?.depth ?? 0
        highest.change { $0 = max($0, depth) }
        if Int.random(in: 0..<200) == 0 { await Task.yield() }
        if lists.values.reduce(0, { $0 + $1.count }) == senders * each { break }
      }
      return lists
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for sender in 0..<senders {
        group.addTask {
          for index in 0..<each {
            try await context.send(message("\(index)", from: "\(sender)"), to: "a")
            if Int.random(in: 0..<100) == 0 { await Task.yield() }
          }
        }
      }
      try await group.waitForAll()
    }
    let lists = await received.value
    #expect(lists.count == senders)
    for list in lists.values { #expect(list == Array(0..<each)) }
    #expect(highest.value <= capacity)
    let mailbox = try #require(context.statistics().mailboxes.first)
    #expect(mailbox.highestDepth <= capacity)
    #expect(mailbox.sent == UInt64(senders * each))
    #expect(mailbox.received == mailbox.sent)
  }

  /// Senders that are cancelled at random: each message is either delivered once, and its sender was told so, or not at all.
  @Test func cancellationNeitherLosesNorDoubles() async throws {
    let context = ChannelContext()
    try context.register("a", capacity: 3)
    let reported = Locked<Set<String>>([])
    let consumer = Task {
      var seen: [String] = []
      for await message in context.messages(for: "a") {
        if text(message) == "end" { break }
        seen.append(text(message))
        if Int.random(in: 0..<3) == 0 { await Task.yield() }
      }
      return seen
    }
    await withTaskGroup(of: Void.self) { group in
      for index in 0..<2000 {
        group.addTask {
          let task = Task {
            try await context.send(message("\(index)"), to: "a")
            reported.change { _ = $0.insert("\(index)") }
          }
          if Bool.random() { task.cancel() }
          _ = await task.result
        }
      }
    }
    try await context.send(message("end"), to: "a")
    let seen = await consumer.value
    #expect(Set(seen).count == seen.count)
    #expect(Set(seen) == reported.value)
  }

  /// Requests under load from many sides, with timeouts and cancellation among them: each ends, none gets another's answer.
  @Test func requestsAlwaysEndWithTheirOwnAnswer() async throws {
    let context = ChannelContext()
    try context.register("server", capacity: 4)
    let servers = Task {
      await withTaskGroup(of: Void.self) { group in
        for await request in context.messages(for: "server") {
          if text(request).hasSuffix("mute") { continue }
          group.addTask {
            if Bool.random() { await Task.yield() }
            context.respond(to: request, with: .reply(to: request, content: request.content))
          }
        }
      }
    }
    let (answered, failed) = await withTaskGroup(of: Bool.self) { group in
      for client in 0..<8 {
        for index in 0..<150 {
          group.addTask {
            let mute = Int.random(in: 0..<30) == 0
            let content = "\(client)/\(index)\(mute ? "mute" : "")"
            let task = Task {
              try await context.request(message(content), to: "server", timeout: mute ? .milliseconds(100) : .seconds(120))
            }
            if Int.random(in: 0..<20) == 0 { task.cancel() }
            guard case .success(let answer) = await task.result else { return false }
            #expect(text(answer) == content)
            return true
          }
        }
      }
      var counts = (0, 0)
      for await success in group { if success { counts.0 += 1 } else { counts.1 += 1 } }
      return counts
    }
    #expect(answered + failed == 1200)
    #expect(answered > 600)
    #expect(context.statistics().pendingRequests == 0)
    #expect(context.statistics().mailboxes.first?.waitingSenders == 0)
    context.unregister("server")
    await servers.value
  }

  /// Modules that come and go under load leave nobody waiting.
  @Test func unregisteringUnderLoadLeavesNoTaskBehind() async throws {
    let context = ChannelContext()
    let stop = Locked(false)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<4 {
        group.addTask {
          while !stop.value {
            try? await context.send(message(), to: "a")
            try? await context.send(message(), toGroup: "g")
            await Task.yield()
          }
        }
        group.addTask {
          while !stop.value {
            _ = try? await context.request(message(), to: "a", timeout: .seconds(600))
            await Task.yield()
          }
        }
      }
      group.addTask {
        for round in 0..<300 {
          try? context.register("a", group: "g", capacity: 2)
          let consumer = Task {
            var count = 0
            for await request in context.messages(for: "a") {
              count += 1
              if count % 3 == 0 { context.respond(to: request, with: .reply(to: request)) }
              if round % 2 == 0, count > 5 { break }
            }
          }
          for _ in 0..<20 { await Task.yield() }
          context.unregister("a")
          await consumer.value
        }
        stop.value = true
      }
    }
    #expect(context.statistics().pendingRequests == 0)
    #expect(context.statistics().mailboxes.isEmpty)
  }
}
