import KubernetesAPI
import Testing

@testable import Edged

@Suite struct CrashLoopBackoffTests {
  private let key = CrashLoopBackoff.Key(container: "app", hash: "1")
  private func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: 1_000_000 + seconds) }

  /// A container that ends at once after each start: the delays it sees, one after the other.
  private func delays(maximum: Duration, count: Int) -> [Int64?] {
    var backoff = CrashLoopBackoff(maximum: maximum)
    var now = at(0)
    return (0..<count).map { _ in
      let finished = now
      let wait = backoff.delay(for: key, lastFinished: finished, now: now)
      now = wait?.until ?? now
      #expect(backoff.delay(for: key, lastFinished: finished, now: now) == nil)
      backoff.restarted(key, lastFinished: finished, now: now)
      return wait?.delay.components.seconds
    }
  }

  @Test(arguments: [
    (Duration.seconds(300), [nil, 10, 20, 40, 80, 160, 300, 300]),
    (.seconds(60), [nil, 10, 20, 40, 60, 60]),
    (.seconds(5), [nil, 5, 5]),
    (.seconds(0), [nil, 1, 1]),
    (.seconds(1000), [nil, 10, 20, 40, 80, 160, 300, 300]),
  ])
  func delaysDouble(maximum: Duration, expected: [Int64?]) {
    #expect(delays(maximum: maximum, count: expected.count) == expected)
  }

  @Test func countsFromTheEnd() {
    var backoff = CrashLoopBackoff()
    backoff.restarted(key, lastFinished: at(0), now: at(0))
    #expect(backoff.delay(for: key, lastFinished: at(100), now: at(104)) == .init(until: at(110), delay: .seconds(10)))
    #expect(backoff.delay(for: key, lastFinished: at(100), now: at(109))?.until == at(110))
    #expect(backoff.delay(for: key, lastFinished: at(100), now: at(110)) == nil)
  }

  @Test(arguments: [(600, 20), (601, 10)])
  func forgetsAfterTwiceTheMaximum(ranFor: Int64, nextDelay: Int64) {
    var backoff = CrashLoopBackoff()
    backoff.restarted(key, lastFinished: at(0), now: at(0))
    backoff.restarted(key, lastFinished: at(ranFor), now: at(ranFor))
    let wait = backoff.delay(for: key, lastFinished: at(ranFor + 1), now: at(ranFor + 1))
    #expect(wait?.delay == .seconds(nextDelay))
  }

  @Test func anotherDefinitionStartsOver() {
    var backoff = CrashLoopBackoff()
    for _ in 0..<3 { backoff.restarted(key, lastFinished: at(0), now: at(0)) }
    let changed = CrashLoopBackoff.Key(container: "app", hash: "2")
    #expect(backoff.delay(for: key, lastFinished: at(1), now: at(1))?.delay == .seconds(40))
    #expect(backoff.delay(for: changed, lastFinished: at(1), now: at(1)) == nil)
    backoff.restarted(changed, lastFinished: at(1), now: at(1))
    #expect(backoff.delay(for: changed, lastFinished: at(2), now: at(2))?.delay == .seconds(10))
    #expect(backoff.delay(for: .init(container: "other", hash: "1"), lastFinished: at(2), now: at(2)) == nil)
  }

  @Test func clockSetBackDoesNotHoldTheContainer() {
    var backoff = CrashLoopBackoff()
    backoff.restarted(key, lastFinished: at(0), now: at(0))
    #expect(backoff.delay(for: key, lastFinished: at(100), now: at(-100_000)) == nil)
  }

  @Test(arguments: [(Duration.seconds(40), "40s"), (.seconds(80), "1m20s"), (.seconds(160), "2m40s"), (.seconds(300), "5m0s")])
  func messages(delay: Duration, text: String) {
    let pod = Pod(metadata: ObjectMeta(name: "web", namespace: "shop", uid: "u1"), spec: PodSpec(containers: []))
    #expect(
      CrashLoopBackoff.waitingMessage(delay, container: "app", of: pod)
        == "back-off \(text) restarting failed container=app pod=web_shop(u1)")
    #expect(
      CrashLoopBackoff.eventMessage(container: "app", of: pod) == "Back-off restarting failed container app in pod web_shop(u1)")
  }
}
