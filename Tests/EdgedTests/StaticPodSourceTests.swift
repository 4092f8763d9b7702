import Glibc
import KubernetesAPI
import Testing

@testable import Edged

@Suite struct StaticPodSourceTests {
  let test = VolumeTestDirectory()

  private func manifest(_ name: String, image: String = "nginx") -> String {
    "apiVersion: v1\nkind: Pod\nmetadata: {name: \(name)}\nspec: {containers: [{name: main, image: \"\(image)\"}]}\n"
  }

  private func write(_ name: String, _ text: String) throws {
    try FileSystem.replace(test.path + "/" + name, with: text.utf8, mode: 0o644, durable: false)
  }

  private func folder(_ name: String = "") -> ManifestFolder {
    ManifestFolder(path: name.isEmpty ? test.path : test.path + "/" + name, nodeName: "n", removalDelay: .seconds(1))
  }

  private func names(_ snapshot: StaticPodSnapshot) -> [String] { snapshot.pods.map(\.pod.name) }

  @Test func readsSortedFilesWithoutHiddenOnesBackupsAndFolders() throws {
    try write("b.yaml", manifest("b"))
    try write("a.json", manifest("a"))
    try write("c", manifest("c"))
    try write(".hidden.yaml", manifest("hidden"))
    try write("b.yaml~", manifest("b"))
    _ = try test.directory("folder")
    try write("folder/d.yaml", manifest("d"))
    try FileSystem.makeSymbolicLink(test.path + "/e.yaml", to: "folder/d.yaml")
    try FileSystem.makeSymbolicLink(test.path + "/f.yaml", to: "nowhere")
    #expect(mkfifo(test.path + "/pipe", 0o600) == 0)
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(names(folder.snapshot) == ["a-n", "b-n", "c-n", "d-n"])
    #expect(folder.snapshot.problems == [])
  }

  @Test func theFirstOfTwoPodsWithOneNameWins() throws {
    try write("b.yaml", manifest("x", image: "second"))
    try write("a.yaml", manifest("x", image: "first"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(folder.snapshot.pods.map(\.pod.spec.containers[0].image) == ["first"])
    #expect(
      folder.snapshot.problems.map(\.description) == ["b.yaml:1: metadata.name: pod default/x-n is defined already in \(test.path)/a.yaml"])
  }

  @Test func aBadFileKeepsThePodsItHad() throws {
    try write("a.yaml", manifest("one") + "---\n" + manifest("two"))
    try write("b.yaml", manifest("b"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: .now)
    let before = folder.snapshot
    try write("a.yaml", "apiVersion: [")
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(folder.snapshot.pods == before.pods)
    #expect(folder.snapshot.problems.count == 1)
    // One document is good again, the other isn't.
    try write("a.yaml", manifest("one", image: "new") + "---\n" + manifest("two", image: ""))
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(folder.snapshot.pods.map(\.pod.spec.containers[0].image) == ["new", "nginx", "nginx"])
    #expect(folder.snapshot.pods[1] == before.pods[1])
    #expect(folder.snapshot.problems.map(\.line) == [9])
    try write("a.yaml", manifest("one"))
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(names(folder.snapshot) == ["one-n", "b-n"])
    #expect(folder.snapshot.problems == [])
  }

  @Test func unchangedPodsStayTheSame() throws {
    try write("a.yaml", manifest("one"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: .now)
    let before = folder.snapshot
    try write("a.yaml", manifest("one") + "---\n" + manifest("two"))
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(folder.snapshot.pods.count == 2 && folder.snapshot.pods[0] == before.pods[0])
  }

  @Test func aFileIsRemovedOnlyAfterAMoment() throws {
    let start = ContinuousClock.now
    try write("a.yaml", manifest("a"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: start)
    try FileSystem.remove(test.path + "/a.yaml")
    folder.refresh(changed: [], unfinished: [], now: start)
    #expect(names(folder.snapshot) == ["a-n"])
    #expect(folder.nextRemoval == start + .seconds(1))
    try write("a.yaml", manifest("a"))
    folder.refresh(changed: [], unfinished: [], now: start + .milliseconds(900))
    #expect(folder.nextRemoval == nil)
    try FileSystem.remove(test.path + "/a.yaml")
    folder.refresh(changed: [], unfinished: [], now: start + .seconds(1))
    folder.refresh(changed: [], unfinished: [], now: start + .seconds(2))
    #expect(names(folder.snapshot) == [])
  }

  @Test func filesThatAreBeingWrittenWait() throws {
    try write("a.yaml", manifest("a"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: ["a.yaml"], now: .now)
    #expect(names(folder.snapshot) == [])
    folder.refresh(changed: ["a.yaml"], unfinished: [], now: .now)
    #expect(names(folder.snapshot) == ["a-n"])
  }

  @Test func filesAreLimited() throws {
    try write("a.yaml", "#" + String(repeating: "x", count: 10 << 20) + "\n" + manifest("a"))
    var folder = folder()
    folder.refresh(changed: [], unfinished: [], now: .now)
    #expect(names(folder.snapshot) == [])
    #expect(folder.snapshot.problems.first?.message.hasSuffix("at most 10485760 are allowed") == true)
  }

  /// Reads snapshots until one is as wished; the test's time limit ends a wait in vain.
  private func next(
    _ snapshots: inout AsyncStream<StaticPodSnapshot>.AsyncIterator, where isWished: (StaticPodSnapshot) -> Bool
  ) async -> StaticPodSnapshot? {
    while let snapshot = await snapshots.next(isolation: nil) { if isWished(snapshot) { return snapshot } }
    return nil
  }

  /// An interval that no test waits for: what comes, comes by inotify.
  private func source(_ name: String) -> StaticPodSource {
    StaticPodSource(path: test.path + "/" + name, nodeName: "n", checkInterval: .seconds(3600), removalDelay: .milliseconds(50))
  }

  @Test(.timeLimit(.minutes(2))) func followsADirectory() async throws {
    _ = try test.directory("manifests")
    try write("manifests/a.yaml", manifest("a"))
    var snapshots = source("manifests/").snapshots().makeAsyncIterator()
    #expect(await snapshots.next().map(names) == ["a-n"])
    try write("manifests/b.yaml", manifest("b"))
    #expect(await next(&snapshots) { names($0) == ["a-n", "b-n"] } != nil)
    try FileSystem.remove(test.path + "/manifests/a.yaml")
    #expect(await next(&snapshots) { names($0) == ["b-n"] } != nil)
    // Written in place, slowly: only the whole file counts.
    volumeShell(
      "cd \(test.path)/manifests; { printf '%s' '\(manifest("b", image: "x"))'; printf -- '---\\n%s' '\(manifest("c"))'; } > b.yaml")
    let both = await next(&snapshots) { names($0) == ["b-n", "c-n"] }
    #expect(both?.pods.first?.pod.spec.containers[0].image == "x")
    try write("manifests/b.yaml", "}")
    #expect(await next(&snapshots) { names($0) == ["b-n", "c-n"] && $0.problems.count == 1 } != nil)
  }

  @Test(.timeLimit(.minutes(2))) func waitsForAPathThatIsMissing() async throws {
    var snapshots = source("later/on/manifests").snapshots().makeAsyncIterator()
    #expect(await snapshots.next() == StaticPodSnapshot(pods: [], problems: []))
    _ = try test.directory("later/on/manifests")
    try write("later/on/manifests/a.yaml", manifest("a"))
    #expect(await next(&snapshots) { names($0) == ["a-n"] } != nil)
    // Another directory takes its place.
    _ = try test.directory("new")
    try write("new/b.yaml", manifest("b"))
    try FileSystem.rename(test.path + "/later/on/manifests", to: test.path + "/later/on/old")
    try FileSystem.rename(test.path + "/new", to: test.path + "/later/on/manifests")
    #expect(await next(&snapshots) { names($0) == ["b-n"] } != nil)
    try write("later/on/manifests/c.yaml", manifest("c"))
    #expect(await next(&snapshots) { names($0) == ["b-n", "c-n"] } != nil)
    try FileSystem.removeTree(test.path + "/later")
    #expect(await next(&snapshots) { names($0) == [] } != nil)
  }

  @Test(.timeLimit(.minutes(2))) func followsASingleFile() async throws {
    try write("web.yaml", manifest("a"))
    var snapshots = source("web.yaml").snapshots().makeAsyncIterator()
    #expect(await snapshots.next().map(names) == ["a-n"])
    try write("unrelated.yaml", manifest("x"))
    try write("web.yaml", manifest("b"))
    #expect(await next(&snapshots) { names($0) == ["b-n"] }?.pods.first?.file == test.path + "/web.yaml")
  }

  @Test(.timeLimit(.minutes(2))) func looksFromTimeToTimeWithoutAnEvent() async throws {
    _ = try test.directory("manifests")
    try write("target", manifest("a"))
    try FileSystem.makeSymbolicLink(test.path + "/manifests/link.yaml", to: test.path + "/target")
    let source = StaticPodSource(path: test.path + "/manifests", nodeName: "n", checkInterval: .milliseconds(20))
    var snapshots = source.snapshots().makeAsyncIterator()
    #expect(await snapshots.next().map(names) == ["a-n"])
    try write("target", manifest("b"))
    #expect(await next(&snapshots) { names($0) == ["b-n"] } != nil)
  }

  @Test(.timeLimit(.minutes(2))) func cancellingEndsTheStream() async throws {
    let snapshots = source("none").snapshots()
    let reader = Task {
      var count = 0
      for await _ in snapshots { count += 1 }
      return count
    }
    reader.cancel()
    #expect(await reader.value <= 1)
  }
}
