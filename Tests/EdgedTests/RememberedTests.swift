import Synchronization
import Testing

@testable import Edged

@Suite struct RememberedTests {
  private struct Failure: Error {}

  @Test func aYoungValueIsToldAgain() async throws {
    let remembered = Remembered<Int>()
    let age = RememberedAge(fresh: .seconds(3600), stale: .seconds(3600))
    #expect(try await remembered.value(age) { 1 } == 1)
    #expect(try await remembered.value(age) { 2 } == 1)
    #expect(try await remembered.value(.now) { 3 } == 3)
  }

  @Test func anOlderOneIsToldAndLookedUpBehindTheAnswer() async throws {
    let remembered = Remembered<Int>()
    let age = RememberedAge(fresh: .zero, stale: .seconds(3600))
    _ = try await remembered.value(.now) { 1 }
    let (looked, look) = AsyncStream<Void>.makeStream()
    let told = try await remembered.value(age) {
      look.finish()
      return 2
    }
    #expect(told == 1)
    for await _ in looked {}
    // Whoever doesn't want the old one waits for that very look.
    #expect(try await remembered.value(.now) { 3 } >= 2)
  }

  @Test func manyWhoAskAtOnceShareOneLook() async throws {
    let remembered = Remembered<Int>()
    let looks = Atomic(0)
    let (mayEnd, end) = AsyncStream<Void>.makeStream()
    let look: @Sendable () async throws -> Int = {
      let number = looks.add(1, ordering: .relaxed).newValue
      for await _ in mayEnd {}
      return number
    }
    try await withThrowingTaskGroup(of: Int.self) { tasks in
      for _ in 0..<10 { tasks.addTask { try await remembered.value(.init(fresh: .seconds(3600), stale: .seconds(3600)), look: look) } }
      tasks.addTask {
        end.finish()
        return 1
      }
      for try await value in tasks { #expect(value == 1) }
    }
    #expect(looks.load(ordering: .relaxed) == 1)
  }

  @Test func aFailureIsNotRemembered() async throws {
    let remembered = Remembered<Int>()
    await #expect(throws: Failure.self) { try await remembered.value(.now) { throw Failure() } }
    #expect(try await remembered.value(.init(fresh: .seconds(1), stale: .seconds(1))) { 4 } == 4)
  }
}
