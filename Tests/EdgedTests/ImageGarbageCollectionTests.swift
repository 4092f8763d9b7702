import Logging
import Runtime
import Synchronization
import Testing

@testable import Edged

@Suite struct ImageGarbageCollectionTests {
  private static let start = ContinuousClock.now

  private func record(_ id: String, size: UInt64 = 10, pinned: Bool = false, seen: Int? = nil, used: Int? = nil) -> ImageRecord {
    ImageRecord(
      id: id, size: size, isPinned: pinned, firstSeen: seen.map { Self.start + .seconds($0) },
      lastUsed: used.map { Self.start + .seconds($0) })
  }

  private func selection(maximumAge: Int = 0) -> ImageSelection {
    ImageSelection(minimumAge: .seconds(120), maximumAge: .seconds(maximumAge), startedAt: Self.start)
  }

  @Test(
    arguments: [
      (0, []), (1, ["never"]), (10, ["never"]), (11, ["never", "early"]), (25, ["never", "early", "late"]),
      (1000, ["never", "early", "late"]),
    ] as [(UInt64, [String])])
  func freesTheLeastRecentlyUsed(bytes: UInt64, expected: [String]) {
    let records = [
      record("late", used: 300), record("early", used: 100), record("never"), record("used", used: 1000),
      record("pinned", pinned: true), record("young", seen: 950),
    ]
    let selected = selection().toFree(bytes, records, inUse: ["used"], now: Self.start + .seconds(1000))
    #expect(selected.map(\.id) == expected)
  }

  @Test(
    arguments: [
      (500, 600, []),  // The agent hasn't run for long enough to know.
      (1001, 600, ["old", "unseen"]),
      (1001, 0, []),
      (1301, 600, ["old", "unseen", "recent"]),
    ] as [(Int, Int, [String])])
  func removesTheOld(now: Int, maximumAge: Int, expected: [String]) {
    let records = [
      record("recent", used: 700), record("old", used: 300), record("unseen"), record("used", used: 0), record("fresh", seen: 800),
    ]
    let selected = selection(maximumAge: maximumAge).tooOld(records, inUse: ["used"], now: Self.start + .seconds(now))
    #expect(Set(selected.map(\.id)) == Set(expected))
  }

  private let service = ImageScriptedService()
  private let clock = ImageTestClock()

  private final class World: Sendable {
    let used = Mutex<Set<String>>([])
    let space = Mutex(World.space(1000, 100))
    let events = Mutex<[String]>([])

    static func space(_ capacity: UInt64, _ available: UInt64) -> FileSystemSpace {
      FileSystemSpace(capacityBytes: capacity, availableBytes: available, freeBytes: available, inodes: 0, freeInodes: 0)
    }
  }

  private func collection(_ world: World, _ change: (inout ImageGarbageCollection.Settings) -> Void = { _ in }) -> ImageGarbageCollection {
    var settings = ImageGarbageCollection.Settings()
    change(&settings)
    let clock = clock
    var surroundings = ImageGarbageCollection.Surroundings(
      usedImages: { world.used.withLock { $0 } }, diskSpace: { _ in world.space.withLock { $0 } },
      nodeEvent: { type, reason, message in world.events.withLock { $0.append("\(type.rawValue) \(reason) \(message)") } })
    surroundings.clock = { clock.now }
    return ImageGarbageCollection(service: service, settings: settings, surroundings: surroundings, logger: Logger(label: "test"))
  }

  @Test func freesDownToTheLowThreshold() async throws {
    for index in 1...4 { await service.add("app:\(index)", id: "sha256:\(index)", size: 60) }
    await service.add("kubeedge/pause:3.6", id: "sha256:0")
    let world = World()
    world.used.withLock { $0 = ["app:1", "sha256:2"] }
    let collection = collection(world) { $0.sandboxImage = "docker.io/kubeedge/pause:3.6" }
    try await collection.observe()
    clock.advance(.seconds(300))
    // Image 2 is the one most recently used of those that are free now.
    world.used.withLock { $0 = ["sha256:1"] }
    try await collection.collect()
    #expect(await service.calls == ["remove sha256:3", "remove sha256:4"])
    #expect(world.events.withLock { $0 } == [])
  }

  @Test(arguments: [(200, 0), (160, 0), (159, 1)] as [(UInt64, Int)])
  func waitsForTheHighThreshold(available: UInt64, removed: Int) async throws {
    await service.add("app:1", id: "sha256:1", size: 1000)
    let world = World()
    world.space.withLock { $0.availableBytes = available }
    try await collection(world).collect()
    #expect(await service.calls.count == removed)
  }

  @Test func tellsWhenTooLittleIsFound() async throws {
    await service.add("app:1", id: "sha256:1", size: 60)
    let world = World()
    await #expect(throws: ImageGarbageCollectionError.self) { try await collection(world).collect() }
    let message =
      "Failed to garbage collect required amount of images. Attempted to free 100 bytes, but only found 60 bytes eligible to free."
    #expect(world.events.withLock { $0 } == ["Warning FreeDiskSpaceFailed \(message)"])
  }

  @Test func tellsThatADiskHasNoCapacity() async throws {
    let world = World()
    world.space.withLock { $0 = Self.World.space(0, 0) }
    await #expect(throws: ImageGarbageCollectionError.self) { try await collection(world).collect() }
    #expect(world.events.withLock { $0 } == ["Warning InvalidDiskCapacity invalid capacity 0 on image filesystem"])
  }

  @Test func sparesNewImages() async throws {
    let world = World()
    world.space.withLock { $0.availableBytes = 150 }
    let collection = collection(world)
    try await collection.observe()
    await service.add("app:1", id: "sha256:1", size: 500)
    await #expect(throws: ImageGarbageCollectionError.self) { try await collection.collect() }
    #expect(await service.calls == [])
    clock.advance(.seconds(120))
    try await collection.collect()
    #expect(await service.calls == ["remove sha256:1"])
  }

  @Test func goesOnWhenOneRemovalFails() async throws {
    for index in 1...3 { await service.add("app:\(index)", id: "sha256:\(index)", size: 60) }
    await service.failRemoval(of: ["sha256:1"])
    let world = World()
    #expect(try await collection(world).removeAllUnused() == 120)
    #expect(await service.calls == ["remove sha256:1", "remove sha256:2", "remove sha256:3"])
  }
}
