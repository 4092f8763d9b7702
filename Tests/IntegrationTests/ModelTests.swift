import CloudSimulator
import FoundationEssentials
import Glibc
import Testing
import YAML

/// Random operations in the cloud while everything around the agent fails: it is killed, the link is cut, slow or repeats itself, the engine
/// dies, the database's disk is full, the database is cut off, the node's clock jumps; when it has settled, containers, store and the
/// cloud's view are what a small model says.
///
/// `MODEL_SEEDS` names the seeds: `7`, `1-24` (the default) or several of both with commas. A run with a seed does the same again.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct ModelTests {
  static let seeds: [UInt64] = {
    let text = ProcessInfo.processInfo.environment["MODEL_SEEDS"] ?? "1-24"
    return text.split(separator: ",").flatMap { part -> [UInt64] in
      let ends = part.split(separator: "-").compactMap { UInt64($0) }
      guard let first = ends.first, let last = ends.last, first <= last else { return [] }
      return Array(first...last)
    }
  }()

  /// Dead containers aren't kept, so that what is there is what runs.
  private static let settings = ["modules.edged.maxPerPodContainerCount=0"]

  @Test(
    .bug("https://github.com/kubeedge/kubeedge/issues/6559"), .bug("https://github.com/kubeedge/kubeedge/issues/6540"), arguments: seeds)
  func whatIsWishedIsWhatRuns(seed: UInt64) async throws {
    try await Cloud.with(settings: Self.settings, hasSteppedClock: true) { cloud in
      var run = try ModelRun(seed: seed, cloud: cloud)
      do {
        try await run.useSmallDisk()
        try await run.steps(14)
        try await run.settle()
        try await run.check()
      } catch {
        try? await cloud.simulator.restore()
        throw Shell.Failure(
          description: "seed \(seed): \(error)\n\(run.history.joined(separator: "\n"))\n\(cloud.agent.log.suffix(6000))")
      }
    }
  }

  /// Kills at random moments while pods come and go: no pod is started twice, and nothing that was acknowledged is lost.
  @Test func killedAgainAndAgainInAStormOfPods() async throws {
    let kills = ProcessInfo.processInfo.environment["MODEL_KILLS"].flatMap { Int($0) } ?? 12
    try await Cloud.with(settings: Self.settings) { cloud in
      var run = try ModelRun(seed: UInt64(kills), cloud: cloud)
      for _ in 0..<kills {
        for _ in 0..<2 { try run.changeAPod() }
        try await Task.sleep(for: .milliseconds(Int.random(in: 0...700, using: &run.random)))
        try await cloud.agent.killAndStart()
      }
      try await run.settle()
      try await run.check()
      // A start that the engine was at when the agent died is given up by the engine, which ends what it had started.
      let givenUp = text(of: cloud.agent.engine.log)?.trimmingLines().filter { $0.contains("StartContainer for") && $0.contains("failed") }
      let again = run.everWished.map { max(0, run.marked.starts($0) - 1) }.reduce(0, +)
      #expect(again <= givenUp?.count ?? 0, "\(run.startedAgain)\n\(run.history)\n\(givenUp ?? [])")
      for mark in run.pods.values { #expect(run.marked.starts(mark) >= 1) }
      let integrity = try await cloud.agent.get("/v1/db/integrity")
      #expect(integrity["damages"]?.array?.isEmpty == true)
    }
  }
}

/// One run: what was done, and what should be.
struct ModelRun {
  let cloud: Cloud
  let marked: MarkedPods
  var random: SeededRandom
  private(set) var history: [String] = []
  /// The mark of each pod that is wished now, by name.
  private(set) var pods: [String: String] = [:]
  private(set) var everWished: [String] = []
  /// The content of each config map.
  private(set) var configMaps: [String: String] = [:]
  private var serial = 0
  private var isCut = false
  private var isFull = false
  private var isClockWrong = false

  init(seed: UInt64, cloud: Cloud) throws {
    self.cloud = cloud
    random = SeededRandom(seed: seed)
    marked = try MarkedPods(run: cloud.agent.node, below: cloud.agent.directory)
    for name in ["c0", "c1"] { try put(configMap: name) }
  }

  private mutating func note(_ what: String) { history.append(what) }

  /// When the pods were started that were started more than once.
  var startedAgain: [String: [String]] {
    Dictionary(uniqueKeysWithValues: everWished.map { ($0, marked.startTimes($0)) }.filter { $0.1.count > 1 })
  }

  // MARK: What people do

  mutating func steps(_ count: Int) async throws {
    for _ in 0..<count {
      if Int.random(in: 0..<10, using: &random) < 6 { try operate() } else { try await harm() }
      try await Task.sleep(for: .milliseconds(Int.random(in: 0...400, using: &random)))
    }
  }

  private mutating func operate() throws {
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<7: try changeAPod()
    case 7..<9: try put(configMap: "c\(Int.random(in: 0..<2, using: &random))")
    default:
      let name = "c\(Int.random(in: 0..<2, using: &random))"
      note("delete config map \(name) and make it again")
      try cloud.simulator.delete("ConfigMap", name: name)
      try put(configMap: name)
    }
  }

  mutating func changeAPod() throws {
    let name = "p\(Int.random(in: 0..<5, using: &random))"
    guard pods[name] != nil else {
      // The name is free only when the old one is gone.
      if cloud.simulator.get("Pod", name: name) == nil { try make(pod: name) }
      return
    }
    let isForced = Int.random(in: 0..<3, using: &random) == 0
    note("delete \(name)\(isForced ? " by force" : "")")
    pods[name] = nil
    try cloud.simulator.delete("Pod", name: name, gracePeriod: isForced ? 0 : nil)
  }

  private mutating func make(pod name: String) throws {
    serial += 1
    let mark = "\(name)x\(serial)"
    let configMap = "c\(serial % 2)"
    note("make \(name) as \(mark) with \(configMap)")
    try cloud.applyPod(
      name, marked.script(mark),
      container: "volumeMounts: [{name: starts, mountPath: /starts}, {name: settings, mountPath: /settings}]",
      spec: marked.volume("- {name: settings, configMap: {name: \(configMap)}}"))
    pods[name] = mark
    everWished.append(mark)
  }

  private mutating func put(configMap name: String) throws {
    serial += 1
    configMaps[name] = "v\(serial)"
    note("config map \(name) is v\(serial)")
    try cloud.apply("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \(name)}\ndata: {value: v\(serial)}")
  }

  // MARK: What goes wrong

  private mutating func harm() async throws {
    switch Int.random(in: 0..<15, using: &random) {
    case 0..<3:
      note("kill the agent")
      try await cloud.agent.killAndStart()
    case 3:
      note("stop the agent and start it")
      try await cloud.agent.end(SIGTERM)
      try await cloud.agent.start()
    case 4..<6:
      note(isCut ? "restore the link" : "cut the link")
      if isCut { try await cloud.simulator.restore() } else { await cloud.simulator.cut() }
      isCut.toggle()
    case 6:
      note("lose the connection")
      await cloud.simulator.disconnect(cloud.agent.node)
    case 7:
      let delay = Int.random(in: 0...300, using: &random)
      note("messages take \(delay) ms")
      cloud.simulator.delay(.milliseconds(delay))
    case 8:
      note("messages come twice")
      cloud.simulator.duplicateNextMessages(5)
    case 9..<11:
      note(isFull ? "empty the disk" : "fill the disk")
      try isFull ? emptyTheDisk() : fillTheDisk()
    case 11:
      if !isCut, !isFull, !isClockWrong { try await truncateTheDatabase() }
    case 12, 13:
      let seconds: Int64 = [-86_400, -600, -5, 5, 600, 7200, 86_400].randomElement(using: &random) ?? 0
      note("the agent's clock is \(seconds) s off")
      try cloud.agent.clock?.step(to: seconds)
      isClockWrong = true
    default:
      note("restart the engine")
      try await cloud.agent.engine.revive(try await cloud.agent.engine.crash())
    }
  }

  // MARK: The database's disk

  private var ballast: String { cloud.agent.store + "/ballast" }

  /// Puts the database on a disk of its own, which can be filled.
  mutating func useSmallDisk() async throws {
    try await cloud.agent.end(SIGTERM)
    let database = try Data(contentsOf: URL(filePath: cloud.agent.store + "/edgecore.db"))
    guard mount("tmpfs", cloud.agent.store, "tmpfs", 0, "size=8m,mode=700") == 0 else {
      throw Shell.Failure(description: "a small disk can't be mounted: \(String(cString: strerror(errno)))")
    }
    try database.write(to: URL(filePath: cloud.agent.store + "/edgecore.db"))
    try await cloud.agent.start()
  }

  private mutating func fillTheDisk() throws {
    let file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { throw Shell.Failure(description: "no ballast: \(String(cString: strerror(errno)))") }
    let block = [UInt8](repeating: 1, count: 4096)
    while write(file, block, block.count) == block.count {}
    close(file)
    isFull = true
  }

  private mutating func emptyTheDisk() throws {
    unlink(ballast)
    isFull = false
  }

  /// Cuts the database off anywhere while the agent is down. What the agent had acknowledged is only in there until the engine knows of it.
  private mutating func truncateTheDatabase() async throws {
    note("truncate the database when all is quiet")
    try await settleDown()
    try await cloud.agent.end(SIGKILL)
    let path = cloud.agent.store + "/edgecore.db"
    let size = try Data(contentsOf: URL(filePath: path)).count
    truncate(path, off_t(Int.random(in: 0..<max(1, size), using: &random)))
    try await cloud.agent.start()
  }

  // MARK: What should be

  /// Ends all harm and waits until the cloud is content.
  mutating func settle() async throws {
    note("settle")
    if isCut { try await cloud.simulator.restore() }
    isCut = false
    if isFull { try emptyTheDisk() }
    cloud.simulator.delay(.zero)
    try cloud.agent.clock?.step(to: 0)
    isClockWrong = false
    try await settleDown()
  }

  private func settleDown() async throws {
    for name in pods.keys.sorted() { try await cloud.waitUntilReady(name, within: .seconds(90)) }
    for pod in cloud.simulator.list("Pod") {
      let name = pod["metadata"]?["name"]?.string ?? ""
      if pods[name] == nil { try await cloud.waitUntilGone(name) }
    }
    try await cloud.simulator.waitUntilAcknowledged()
  }

  /// Compares processes, files, the agent's and the cloud's view with the model.
  func check() async throws {
    let wished = pods.values.sorted()
    do {
      _ = try await eventually("what runs is what is wished", within: .seconds(40)) { marked.running == wished ? true : nil }
    } catch {
      throw Shell.Failure(description: "wished: \(wished), running: \(marked.running)")
    }
    _ = try await eventually("the agent knows the same pods") {
      try await cloud.agent.pods().map(\.name).sorted() == pods.keys.sorted() ? true : nil
    }
    for name in pods.keys {
      let pod = try #require(cloud.simulator.get("Pod", name: name))
      let id = pod["status"]?["containerStatuses"]?.array?.first?["containerID"]?.string?.split(separator: "/").last.map(String.init)
      let containers = try await eventually("\(name) has a sandbox and one container") {
        let containers = try await cloud.agent.engine.containers(ofPod: pod.uid)
        return containers.count == 2 ? containers : nil
      }
      #expect(containers.contains(id ?? "none"), "the cloud's container of \(name) exists")
      let configMap = pod["spec"]?["volumes"]?.array?.first { $0["configMap"] != nil }?["configMap"]?["name"]?.string ?? ""
      _ = try await eventually("\(name) has the newest \(configMap)") {
        text(of: "\(cloud.agent.root)/pods/\(pod.uid)/volumes/kubernetes.io~configmap/settings/value") == configMaps[configMap] ? true : nil
      }
    }
    // What the engine finished for an agent that was dead by then is found a few seconds after it started.
    _ = try await eventually("nothing else is left in the engine", within: .seconds(60)) {
      try await cloud.agent.engine.containers(ofPod: nil).count == 2 * pods.count ? true : nil
    }
  }
}
