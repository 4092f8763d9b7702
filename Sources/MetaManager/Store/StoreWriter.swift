import Core
import Logging
import SQLite

/// Writes to the store, and survives its file: a damaged one is set aside, and an empty one takes its place.
struct StoreWriter: Sendable {
  let store: MetaStore
  let logger: Logger

  func open() async throws { report(try await store.open()) }

  /// - Throws: `SQLiteError`, for instance of a full disk.
  func apply(_ changes: [StoreChange]) async throws -> [StoreOutcome] {
    do {
      return try await store.apply(changes)
    } catch let error as SQLiteError where error.isDamage {
      await store.close()
      report(try await store.open())
      return try await store.apply(changes)
    }
  }

  /// Keeps an object that the cloud answered with. The answer counts whether or not it can be kept.
  func keep(_ key: ObjectKey, _ object: [UInt8], _ publisher: ChangePublisher) async {
    let object = ObjectText.complete(object, type: key.type)
    do {
      if try await apply([.put(key, object)]) == [.changed] {
        await publisher.publish(MetadataChange(kind: .stored, key: key, object: object))
      }
    } catch {
      logger.error("an object of the cloud can't be stored", metadata: ["object": "\(key)", "error": "\(error)"])
    }
  }

  private func report(_ damage: DatabaseFile.Damage?) {
    guard let damage else { return }
    logger.error(
      "the database was damaged and is set aside; it is made anew from what the cloud says, pods run on",
      metadata: ["damage": "\(damage.reason)", "database": "\(store.path)", "setAside": "\(damage.setAside)"])
  }
}
