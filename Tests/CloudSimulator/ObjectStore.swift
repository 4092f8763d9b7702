import Core
import Synchronization
import YAML

/// The API server's part: objects with versions, and those who watch them.
final class ObjectStore: Sendable {
  struct Key: Hashable, Sendable {
    /// The kind in lower case.
    var type: String
    /// Empty for objects that have none.
    var namespace: String
    var name: String
  }

  struct Event: Sendable {
    enum Kind: String, Sendable { case added = "ADDED", modified = "MODIFIED", deleted = "DELETED" }

    var kind: Kind
    var key: Key
    /// What it is now; of a deleted object what it was last.
    var object: JSONValue
    /// What it was before.
    var old: JSONValue?
  }

  private struct State {
    var objects: [Key: JSONValue] = [:]
    var version: Int64 = 1000
    var watchers: [Int: @Sendable (Event) -> Void] = [:]
    var nextWatcher = 0
    /// Names of events, the oldest first: a cloud forgets them after a while.
    var events: [Key] = []
  }

  private static let eventLimit = 5000

  private let state = Mutex(State())

  init() {}

  // MARK: Keeping

  /// All that has to be kept over a restart.
  var snapshot: JSONValue {
    state.withLock { state in
      .members(("version", .number(String(state.version))), ("objects", .array(Array(state.objects.values))))
    }
  }

  init(snapshot: JSONValue) {
    state.withLock { state in
      state.version = snapshot["version"]?.int ?? 1000
      for object in snapshot["objects"]?.array ?? [] {
        let key = Self.key(of: object)
        state.objects[key] = object
        if key.type == "event" { state.events.append(key) }
      }
    }
  }

  static func key(of object: JSONValue) -> Key {
    Key(type: ObjectKind(object["kind"]?.string ?? "").type, namespace: object.namespace, name: object.name)
  }

  // MARK: Watching

  /// - Parameter handler: called with each change in their order, while the store is locked: it must not use the store.
  func watch(_ handler: @escaping @Sendable (Event) -> Void) -> Int {
    state.withLock { state in
      state.nextWatcher += 1
      state.watchers[state.nextWatcher] = handler
      return state.nextWatcher
    }
  }

  func unwatch(_ id: Int) { state.withLock { _ = $0.watchers.removeValue(forKey: id) } }

  // MARK: Reading

  func get(_ key: Key) -> JSONValue? { state.withLock { $0.objects[key] } }

  /// The objects of a type, sorted by namespace and name.
  func list(_ type: String) -> [JSONValue] {
    state.withLock { state in
      state.objects.filter { $0.key.type == type }.sorted { ($0.key.namespace, $0.key.name) < ($1.key.namespace, $1.key.name) }.map(\.value)
    }
  }

  // MARK: Writing

  func create(_ object: JSONValue) throws -> JSONValue {
    try state.withLock { state in
      let key = Self.key(of: object)
      let kind = ObjectKind(key.type)
      guard state.objects[key] == nil else { throw APIError.alreadyExists(kind.plural, group: kind.group, name: key.name) }
      var object = object
      var metadata: [JSONValue.Member] = []
      // In the order in which Go writes them.
      for name in ["name", "generateName", "namespace"] {
        if let value = object.at("metadata", name), value != .null { metadata.append(.init(name, value)) }
      }
      metadata.append(.init("uid", .string(MessageID.make())))
      state.version += 1
      metadata.append(.init("resourceVersion", .string(String(state.version))))
      if object["spec"] != nil, !["node", "lease"].contains(key.type) { metadata.append(.init("generation", .number("1"))) }
      metadata.append(.init("creationTimestamp", .string(WireTime.text())))
      let own = ["name", "generateName", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp"]
      for member in object["metadata"]?.object ?? [] where !own.contains(member.key) && member.value != .null { metadata.append(member) }
      object["metadata"] = .object(metadata)
      state.objects[key] = object
      if key.type == "event" {
        state.events.append(key)
        if state.events.count > Self.eventLimit { state.objects[state.events.removeFirst()] = nil }
      }
      for watcher in state.watchers.values { watcher(Event(kind: .added, key: key, object: object, old: nil)) }
      return object
    }
  }

  /// Changes an object; a change that changes nothing makes no new version. What waited only for its last finalizer goes.
  ///
  /// - Parameter countsGeneration: whether a change of the spec makes a new generation; binding a pod to a node doesn't.
  @discardableResult
  func update(_ key: Key, countsGeneration: Bool = true, _ change: (inout JSONValue) throws -> Void) throws -> JSONValue {
    try state.withLock { state in
      guard let old = state.objects[key] else {
        let kind = ObjectKind(key.type)
        throw APIError.notFound(kind.plural, group: kind.group, name: key.name)
      }
      var object = old
      try change(&object)
      guard object != old else { return old }
      write(&object, old, key, &state, countsGeneration: countsGeneration)
      if object.isBeingDeleted, object.at("metadata", "finalizers")?.array?.isEmpty ?? true,
        key.type != "pod" || object.at("metadata", "deletionGracePeriodSeconds")?.int == 0
      {
        remove(key, &state)
      }
      return object
    }
  }

  /// Deletes an object, pods gracefully: they stay until their node has confirmed. Finalizers hold everything.
  ///
  /// - Parameter gracePeriod: seconds; nil is what the pod says.
  func delete(_ key: Key, gracePeriod: Int64?, uid: String? = nil) throws {
    try state.withLock { state in
      let kind = ObjectKind(key.type)
      guard let old = state.objects[key] else { throw APIError.notFound(kind.plural, group: kind.group, name: key.name) }
      if let uid, uid != old.uid { throw APIError.wrongUID(kind.plural, name: key.name, wanted: uid, actual: old.uid) }
      var object = old
      var grace: Int64 = 0
      if key.type == "pod" {
        grace = gracePeriod ?? object.at("spec", "terminationGracePeriodSeconds")?.int ?? 30
        if object.nodeName.isEmpty || ["Succeeded", "Failed"].contains(object.at("status", "phase")?.string) { grace = 0 }
      }
      let finalizers = object.at("metadata", "finalizers")?.array ?? []
      if object.isBeingDeleted, let current = object.at("metadata", "deletionGracePeriodSeconds")?.int, grace >= current, current > 0 {
        return
      }
      if key.type == "pod" || !finalizers.isEmpty {
        if !object.isBeingDeleted || key.type == "pod" {
          if !object.isBeingDeleted {
            object.set("metadata", "deletionTimestamp", to: .string(WireTime.text(WireTime.seconds + Int(grace))))
            if let generation = object.at("metadata", "generation")?.int {
              object.set("metadata", "generation", to: .number(String(generation + 1)))
            }
          }
          object.set("metadata", "deletionGracePeriodSeconds", to: .number(String(grace)))
        }
        if object != old { write(&object, old, key, &state) }
      }
      if grace == 0, finalizers.isEmpty { remove(key, &state) }
    }
  }

  private func write(_ object: inout JSONValue, _ old: JSONValue, _ key: Key, _ state: inout State, countsGeneration: Bool = true) {
    state.version += 1
    object.set("metadata", "resourceVersion", to: .string(String(state.version)))
    if countsGeneration, let generation = object.at("metadata", "generation")?.int, object["spec"] != old["spec"] {
      object.set("metadata", "generation", to: .number(String(generation + 1)))
    }
    state.objects[key] = object
    for watcher in state.watchers.values { watcher(Event(kind: .modified, key: key, object: object, old: old)) }
  }

  private func remove(_ key: Key, _ state: inout State) {
    guard var object = state.objects.removeValue(forKey: key) else { return }
    let old = object
    state.version += 1
    object.set("metadata", "resourceVersion", to: .string(String(state.version)))
    for watcher in state.watchers.values { watcher(Event(kind: .deleted, key: key, object: object, old: old)) }
  }
}
