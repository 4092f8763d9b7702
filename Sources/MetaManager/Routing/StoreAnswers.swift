import Core
import LocalAPI
import YAML

/// Answers questions about the store itself.
struct StoreAnswers: Sendable {
  /// The type of objects under which the store tells of itself: `null/store/state`.
  static let type = "store"

  let store: MetaStore
  let outbox: Outbox
  let writer: StoreWriter

  /// - Throws: `MetadataError`, `SQLiteError`.
  func answer(_ request: Message, _ key: ObjectKey) async throws -> [UInt8] {
    if request.operation == .update, key.name == "state" { return try await knowsAllAgain() }
    guard request.operation == .query else { throw Self.refusal(request, key) }
    switch key.name {
    case "state": return try await state()
    case "rows": return try await rows()
    case "row": return try await row(String(decoding: request.payload, as: UTF8.self))
    case "integrity": return try await integrity()
    default: throw Self.refusal(request, key)
    }
  }

  private static func refusal(_ request: Message, _ key: ObjectKey) -> MetadataError {
    MetadataError(.refused, "\(request.operation) of \(key) means nothing; allowed: query of state, rows, row, integrity")
  }

  /// Whether the store was made anew and may lack pods, and how much waits for the cloud.
  private func state() async throws -> [UInt8] {
    let isRebuilt = try await store.state(MetaStore.rebuiltState) != nil
    let owed = await outbox.count
    return JSONValue.object([.init("rebuilt", .bool(isRebuilt)), .init("owed", .number("\(owed)"))]).jsonBytes()
  }

  private func knowsAllAgain() async throws -> [UInt8] {
    _ = try await writer.apply([.setState(key: MetaStore.rebuiltState, value: nil)])
    return Array("\"OK\"".utf8)
  }

  private func rows() async throws -> [UInt8] {
    let rows = try await store.keys().map { StoredRow(key: $0.key, type: $0.type, size: $0.size) }
    return try JSONValue(encoding: rows).jsonBytes()
  }

  private func row(_ name: String) async throws -> [UInt8] {
    guard let row = try await store.row(name) else { throw MetadataError(.notFound, "the store has no \"\(name)\"") }
    return MaskedObject.text(row, key: name)
  }

  private func integrity() async throws -> [UInt8] {
    let damages = try await store.damages()
    return JSONValue.object([.init("path", .string(store.path)), .init("damages", .array(damages.map { .string($0) }))]).jsonBytes()
  }
}
