import Core
import KubernetesAPI
import Logging
import Synchronization
import Testing
import YAML

@testable import Edged

@Suite(.timeLimit(.minutes(1))) struct PodReportsTests {
  /// A metadata store that takes what is owed.
  private static func with(_ body: (PodReports, StatusStore, () async -> JSONValue?) async throws -> Void) async throws {
    let channel = ChannelContext()
    try channel.register(.metaManager, group: .meta)
    let statuses = StatusStore()
    let reports = PodReports(client: MetadataClient(channel: channel, source: .edged), statuses: statuses, logger: Logger(label: "test"))
    let running = Task { await reports.run() }
    defer { running.cancel() }
    var owed = channel.messages(for: .metaManager).makeAsyncIterator()
    try await body(reports, statuses) {
      await owed.next().flatMap { try? JSONValue(json: $0.payload) }
    }
  }

  private static func status(_ phase: PodPhase, waiting reason: String) -> PodStatus {
    var container = ContainerStatus(name: "web", image: "busybox")
    if phase == .pending { container.state = ContainerState(waiting: ContainerStateWaiting(reason: reason)) }
    var status = PodStatus()
    status.phase = phase
    status.containerStatuses = [container]
    return status
  }

  private static let subject = PodReports.Subject(namespace: "default", name: "web", uid: "u1")

  @Test func aPodThatRunsSoonIsReportedOnce() async throws {
    try await Self.with { reports, statuses, next in
      statuses.put(Self.status(.pending, waiting: "ContainerCreating"), of: "u1")
      reports.follow("u1", as: Self.subject, told: PodStatus())
      // The reports of others come behind, so that the first has been looked at.
      for (uid, change) in [("u2", "10.0.0.1"), ("u3", "10.0.0.2")] {
        statuses.put(Self.status(.running, waiting: ""), of: uid)
        reports.follow(uid, as: .init(namespace: "default", name: uid, uid: uid), told: nil)
        #expect(await next()?["metadata"]?["uid"]?.string == uid)
        var changed = Self.status(.pending, waiting: "ContainerCreating")
        changed.podIP = change
        statuses.put(changed, of: "u1")
        reports.statusChanged(of: "u1")
      }
      statuses.put(Self.status(.running, waiting: ""), of: "u1")
      reports.statusChanged(of: "u1")
      let report = await next()
      #expect(report?["metadata"]?["uid"]?.string == "u1")
      #expect(report?["status"]?["phase"]?.string == "Running")
    }
  }

  @Test(arguments: ["ErrImagePull", "CreateContainerConfigError"]) func whatGoesWrongIsReportedAtOnce(reason: String) async throws {
    try await Self.with { reports, statuses, next in
      statuses.put(Self.status(.pending, waiting: reason), of: "u1")
      reports.follow("u1", as: Self.subject, told: nil)
      let report = await next()
      #expect(report?["status"]?["containerStatuses"]?.array?.first?["state"]?["waiting"]?["reason"]?.string == reason)
    }
  }

  @Test func aPodThatTakesLongToStartIsReportedStarting() async throws {
    try await Self.with { reports, statuses, next in
      statuses.put(Self.status(.pending, waiting: "ContainerCreating"), of: "u1")
      reports.follow("u1", as: Self.subject, told: nil)
      let report = await next()
      #expect(report?["status"]?["phase"]?.string == "Pending")
    }
  }
}
