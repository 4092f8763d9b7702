import Logging
import Runtime

/// Removes images that no container needs: the least recently used ones when the disk fills up, and those unused for too long.
public actor ImageGarbageCollection {
  public struct Settings: Sendable, Hashable {
    /// Use of the images' file system, in percent, at which removal begins.
    public var highThresholdPercent = 85
    /// Use of the images' file system, in percent, at which it ends.
    public var lowThresholdPercent = 80
    /// An image younger than this stays: its container may be about to start.
    public var minimumAge: Duration = .seconds(120)
    /// An image unused for longer goes however much room there is; zero never removes one for its age.
    public var maximumAge: Duration = .zero
    public var interval: Duration = .seconds(300)
    /// The sandboxes' image, which always stays.
    public var sandboxImage: String?

    public init() {}
  }

  /// What must be known of the world around: closures, so that only what is used has to exist.
  public struct Surroundings: Sendable {
    /// Ids and names of the images of all containers that exist, running or not.
    public var usedImages: @Sendable () async throws -> Set<String>
    /// The file system at that path.
    public var diskSpace: @Sendable (_ mountpoint: String) throws -> FileSystemSpace
    /// Tells users about the node.
    public var nodeEvent: @Sendable (EventType, _ reason: String, _ message: String) -> Void
    public var clock: @Sendable () -> ContinuousClock.Instant = { .now }

    public init(
      usedImages: @escaping @Sendable () async throws -> Set<String>,
      diskSpace: @escaping @Sendable (String) throws -> FileSystemSpace = { try FileSystem.space($0) },
      nodeEvent: @escaping @Sendable (EventType, String, String) -> Void
    ) {
      self.usedImages = usedImages
      self.diskSpace = diskSpace
      self.nodeEvent = nodeEvent
    }

    /// Takes the images in use from the engine's own list of containers.
    public init(runtime: any ContainerRuntime, nodeEvent: @escaping @Sendable (EventType, String, String) -> Void) {
      self.init(
        usedImages: {
          var used: Set<String> = []
          for container in try await runtime.listContainers(nil) {
            used.formUnion([container.imageID, container.imageRef, container.image.image])
          }
          return used
        }, nodeEvent: nodeEvent)
    }
  }

  private let service: any ImageService
  private let settings: Settings
  private let surroundings: Surroundings
  private let logger: Logger
  private let selection: ImageSelection
  private var records: [String: ImageRecord] = [:]
  private var inUse: Set<String> = []
  private var hasLooked = false

  public init(service: any ImageService, settings: Settings, surroundings: Surroundings, logger: Logger) {
    self.service = service
    self.settings = settings
    self.surroundings = surroundings
    self.logger = logger
    selection = ImageSelection(
      minimumAge: settings.minimumAge, maximumAge: settings.maximumAge, startedAt: surroundings.clock())
  }

  /// Looks at once, then looks and removes at each interval, until the task is cancelled.
  public func run() async {
    do {
      try await observe()
    } catch {
      logger.warning("listing images failed", metadata: ["error": "\(error)"])
    }
    var failedBefore = false
    while !Task.isCancelled {
      do {
        try await Task.sleep(for: settings.interval, tolerance: settings.interval / 20)
        try await collect()
        failedBefore = false
      } catch {
        if Task.isCancelled { return }
        logger.warning("removing unused images failed", metadata: ["error": "\(error)"])
        // The first failure may be the engine still starting.
        if failedBefore { surroundings.nodeEvent(.warning, "ImageGCFailed", "\(error)") }
        failedBefore = true
      }
    }
  }

  /// Removes what is too old, and more if the disk is too full.
  public func collect() async throws {
    try await observe()
    let now = surroundings.clock()
    let tooOld = selection.tooOld(Array(records.values), inUse: inUse, now: now)
    _ = await remove(tooOld)

    let space = try await imageSpace()
    let usedPercent = 100 - Int(min(space.availableBytes, space.capacityBytes) * 100 / space.capacityBytes)
    guard usedPercent >= settings.highThresholdPercent else { return }
    let wished = space.capacityBytes * UInt64(100 - settings.lowThresholdPercent) / 100
    let missing = wished - min(wished, space.availableBytes)
    let selected = selection.toFree(missing, Array(records.values), inUse: inUse, now: now)
    let (freed, failures) = await remove(selected)
    if freed < missing {
      var message =
        "Failed to garbage collect required amount of images. Attempted to free \(missing) bytes, but only found \(freed) bytes eligible to free."
      surroundings.nodeEvent(.warning, "FreeDiskSpaceFailed", message)
      if let first = failures.first { message += " \(failures.count) images could not be removed: \(first)" }
      throw ImageGarbageCollectionError(description: message)
    }
  }

  /// Removes every image that no container has, whatever its age: for a node that is out of disk space.
  /// Returns the bytes freed.
  public func removeAllUnused() async throws -> UInt64 {
    try await observe()
    let selection = ImageSelection(minimumAge: .zero, maximumAge: .zero, startedAt: self.selection.startedAt)
    let selected = selection.toFree(.max, Array(records.values), inUse: inUse, now: surroundings.clock())
    let (freed, failures) = await remove(selected)
    if let first = failures.first, freed == 0 { throw ImageGarbageCollectionError(description: first) }
    return freed
  }

  /// Notes which images exist and which of them are in use.
  func observe() async throws {
    let images = try await service.listImages()
    var used = try await surroundings.usedImages()
    used.remove("")
    let now = surroundings.clock()
    let sandboxImage = settings.sandboxImage.flatMap { try? ImageReference($0).description }
    var seen: [String: ImageRecord] = [:]
    inUse = []
    for image in images {
      let names = [image.id] + image.repoTags + image.repoDigests
      let isSandbox =
        sandboxImage != nil && (image.repoTags + image.repoDigests).contains { (try? ImageReference($0).description) == sandboxImage }
      var record =
        records[image.id]
        ?? ImageRecord(id: image.id, size: image.size, isPinned: image.pinned, firstSeen: hasLooked ? now : nil)
      record.size = image.size
      record.isPinned = image.pinned
      if isSandbox || names.contains(where: used.contains) {
        record.lastUsed = now
        inUse.insert(image.id)
      }
      seen[image.id] = record
    }
    records = seen
    hasLooked = true
  }

  private func imageSpace() async throws -> FileSystemSpace {
    let info = try await service.imageFsInfo()
    guard let mountpoint = info.imageFilesystems.first?.fsID.mountpoint, !mountpoint.isEmpty else {
      throw ImageGarbageCollectionError(description: "the engine names no file system for its images")
    }
    let space = try surroundings.diskSpace(mountpoint)
    guard space.capacityBytes > 0 else {
      let message = "invalid capacity 0 on image filesystem"
      surroundings.nodeEvent(.warning, "InvalidDiskCapacity", message)
      throw ImageGarbageCollectionError(description: message)
    }
    return space
  }

  private func remove(_ images: [ImageRecord]) async -> (freed: UInt64, failures: [String]) {
    var freed: UInt64 = 0
    var failures: [String] = []
    for image in images {
      if Task.isCancelled { break }
      do {
        try await service.removeImage(image.id)
        records[image.id] = nil
        freed += image.size
        logger.info("removed an unused image", metadata: ["image": "\(image.id)", "bytes": "\(image.size)"])
      } catch {
        failures.append("\(image.id): \(error)")
      }
    }
    return (freed, failures)
  }
}

/// Room on the images' disk that could not be made.
public struct ImageGarbageCollectionError: Error, Sendable, Hashable, CustomStringConvertible {
  public let description: String
}
