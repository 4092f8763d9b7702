import KubernetesAPI
import Logging
import Synchronization
import Testing

@testable import Edged

@Suite struct EventRecorderTests {
  private final class Clock: Sendable {
    private let seconds = Atomic<Int64>(1_700_000_000)
    var now: Timestamp { Timestamp(seconds: seconds.load(ordering: .relaxed)) }
    func advance(_ by: Int64) { seconds.add(by, ordering: .relaxed) }
  }

  private let clock = Clock()

  private func recorder(capacity: Int = 1000, log: (any LogHandler)? = nil) -> EventRecorder {
    let logger = Logger(label: "test") { _ in log ?? SwiftLogNoOpLogHandler() }
    return EventRecorder(node: "edge-1", logger: logger, capacity: capacity, now: { [clock] in clock.now })
  }

  private func pod(_ name: String = "web", uid: String? = nil) -> Pod {
    Pod(metadata: ObjectMeta(name: name, namespace: "shop", uid: uid ?? "uid-\(name)"), spec: PodSpec(containers: []))
  }

  @Test func eventsAreThoseOfKubelet() throws {
    let recorder = recorder()
    var pod = pod()
    pod.metadata.resourceVersion = "7"
    recorder.record(pod, fieldPath: "spec.containers{app}", .warning, reason: "Unhealthy", message: "Liveness probe failed: no")
    let event = try #require(recorder.all().first)
    #expect(event.kind == "Event" && event.apiVersion == "v1")
    #expect(event.metadata.name == "web." + String(clock.now.nanoseconds, radix: 16))
    #expect(event.metadata.namespace == "shop")
    var object = ObjectReference(kind: "Pod", namespace: "shop", name: "web", uid: "uid-web", fieldPath: "spec.containers{app}")
    object.apiVersion = "v1"
    object.resourceVersion = "7"
    #expect(event.involvedObject == object)
    #expect(event.source == EventSource(component: "kubelet", host: "edge-1"))
    #expect(event.reportingComponent == "kubelet" && event.reportingInstance == "edge-1")
    #expect(event.type == "Warning" && event.reason == "Unhealthy" && event.message == "Liveness probe failed: no")
    #expect(event.count == 1 && event.firstTimestamp == clock.now && event.lastTimestamp == clock.now)
  }

  @Test func theSameEventIsCountedFor10Minutes() {
    let recorder = recorder()
    let start = clock.now
    recorder.record(pod(), fieldPath: nil, .normal, reason: "Pulled", message: "a")
    recorder.record(pod(), fieldPath: nil, .normal, reason: "Pulled", message: "b")
    clock.advance(600)
    recorder.record(pod(), fieldPath: nil, .normal, reason: "Pulled", message: "a")
    #expect(recorder.all().map(\.message) == ["b", "a"])
    #expect(recorder.all().map(\.count) == [1, 2])
    #expect(recorder.all().last?.firstTimestamp == start)
    #expect(recorder.all().last?.lastTimestamp == clock.now)
    clock.advance(601)
    recorder.record(pod(), fieldPath: nil, .normal, reason: "Pulled", message: "a")
    #expect(recorder.all().map(\.count) == [1, 2, 1])
    #expect(Set(recorder.all().map(\.metadata.name)).count == 3)
  }

  struct Difference: Sendable, CustomTestStringConvertible {
    var uid = "uid-web"
    var fieldPath: String? = "f"
    var type = EventType.normal
    var reason = "r"
    var message = "m"
    var testDescription: String { "\(uid) \(fieldPath ?? "-") \(type) \(reason) \(message)" }
  }

  @Test(
    arguments: [
      (Difference(), [2]), (Difference(uid: "other"), [1, 1]), (Difference(fieldPath: nil), [1, 1]), (Difference(type: .warning), [1, 1]),
      (Difference(reason: "r2"), [1, 1]), (Difference(message: "m2"), [1, 1]),
    ] as [(Difference, [Int32])])
  func differentEventsAreKeptApart(_ another: Difference, counts: [Int32]) {
    let recorder = recorder()
    recorder.record(pod(), fieldPath: "f", .normal, reason: "r", message: "m")
    recorder.record(
      pod(uid: another.uid), fieldPath: another.fieldPath, another.type, reason: another.reason, message: another.message)
    #expect(recorder.all().compactMap(\.count) == counts)
  }

  @Test func onlyTheLastAreKept() {
    let recorder = recorder(capacity: 3)
    for name in ["a", "b", "c", "a", "d"] { recorder.record(pod(name), fieldPath: nil, .normal, reason: "r", message: "m") }
    #expect(recorder.all().map(\.involvedObject.name) == ["c", "a", "d"])
    #expect(recorder.events(forPodUID: "uid-a").map(\.count) == [2])
    #expect(recorder.events(forPodUID: "uid-b").isEmpty)
  }

  @Test func aPodIsHeard25TimesThenOnceIn5Minutes() {
    let recorder = recorder()
    func record(_ range: ClosedRange<Int>) {
      for number in range { recorder.record(pod(), fieldPath: nil, .normal, reason: "r", message: "\(number)") }
    }
    record(1...30)
    #expect(recorder.all().map(\.message) == (1...25).map { "\($0)" })
    recorder.record(pod("other"), fieldPath: nil, .normal, reason: "r", message: "m")
    #expect(recorder.events(forPodUID: "uid-other").count == 1)
    clock.advance(299)
    record(31...31)
    #expect(recorder.events(forPodUID: "uid-web").count == 25)
    clock.advance(1)
    record(32...33)
    #expect(recorder.events(forPodUID: "uid-web").last?.message == "32")
  }

  @Test func messagesAreCutBetweenCharacters() throws {
    let recorder = recorder()
    recorder.record(pod(), fieldPath: nil, .normal, reason: "r", message: "x" + String(repeating: "ä", count: 2000))
    let message = try #require(recorder.all().first?.message)
    #expect(message == "x" + String(repeating: "ä", count: 511))
  }

  @Test func listenersHearEventsAsTheyAre() async {
    let recorder = recorder()
    recorder.record(pod(), fieldPath: nil, .normal, reason: "r", message: "before")
    let stream = recorder.stream()
    recorder.record(pod(), fieldPath: nil, .normal, reason: "r", message: "m")
    recorder.record(pod(), fieldPath: nil, .normal, reason: "r", message: "m")
    recorder.finish()
    var heard: [String] = []
    for await event in stream { heard.append("\(event.message ?? "") \(event.count ?? 0)") }
    #expect(heard == ["m 1", "m 2"])
  }

  private final class LogLines: LogHandler {
    let lines: Lines
    final class Lines: Sendable { let all = Mutex<[String]>([]) }
    init(_ lines: Lines) { self.lines = lines }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { nil }
      set {}
    }
    var metadata: Logger.Metadata {
      get { [:] }
      set {}
    }
    var logLevel: Logger.Level {
      get { .trace }
      set {}
    }
    func log(event: LogEvent) {
      let pod = event.metadata?["pod"].map { "\($0)" } ?? ""
      lines.all.withLock { $0.append("\(event.level) \(pod) \(event.message)") }
    }
  }

  @Test func eachEventIsALineInTheLog() {
    let lines = LogLines.Lines()
    let recorder = recorder(log: LogLines(lines))
    recorder.record(pod(), fieldPath: nil, .normal, reason: "Pulled", message: "done")
    recorder.record(pod(), fieldPath: nil, .warning, reason: "Failed", message: "oh")
    #expect(lines.all.withLock { $0 } == ["info shop/web done", "warning shop/web oh"])
  }
}
