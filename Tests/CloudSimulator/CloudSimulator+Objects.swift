import Core
import FoundationEssentials
import YAML

/// The API server's part.
extension CloudSimulator {
  /// Creates or updates an object, or each item of a list, as `kubectl apply` does, and answers with what it became.
  ///
  /// What an API server and its controllers would set is set: UID, version, the defaults of pods, the volume with the token of a pod's
  /// service account; a pod without a node is bound if there is exactly one that its `nodeSelector` allows.
  ///
  /// - Throws: `CloudSimulatorError` for an object without kind or name.
  @discardableResult
  public func apply(_ object: JSONValue) throws -> JSONValue {
    if object["kind"]?.string?.hasSuffix("List") == true, let items = object["items"]?.array {
      var applied = object
      applied["items"] = .array(try items.map { try apply($0) })
      return applied
    }
    guard let kind = object["kind"]?.string, !kind.isEmpty, let version = object["apiVersion"]?.string else {
      throw CloudSimulatorError("an object needs apiVersion and kind")
    }
    guard !object.name.isEmpty || object.at("metadata", "generateName")?.string != nil else {
      throw CloudSimulatorError("the \(kind) needs metadata.name")
    }
    var new = JSONValue.members(("kind", .string(kind)), ("apiVersion", .string(version)))
    for member in object.object ?? [] where !["kind", "apiVersion"].contains(member.key) { new[member.key] = member.value }
    if new.name.isEmpty {
      new.set("metadata", "name", to: .string((object.at("metadata", "generateName")?.string ?? "") + Self.suffix()))
    }
    let information = ObjectKind(kind)
    let namespace = object.namespace.isEmpty ? "default" : object.namespace
    new.set("metadata", "namespace", to: information.isNamespaced ? .string(namespace) : nil)
    if information.isNamespaced { ensureNamespace(namespace) }
    if kind == "Secret" { Self.encodeStrings(&new) }

    let key = ObjectStore.key(of: new)
    do {
      if core.store.get(key) == nil {
        try create(new)
      } else {
        try update(key, new)
      }
    } catch let error as APIError {
      throw CloudSimulatorError(error.message)
    }
    core.schedule()
    return core.store.get(key) ?? new
  }

  private func create(_ object: JSONValue) throws {
    var object = object
    if object["kind"] == .string("Pod") {
      let volume = configuration.mountsServiceAccountTokens ? PodDefaults.tokenVolumePrefix + Self.suffix() : nil
      PodDefaults.apply(to: &object, tokenVolume: volume)
    }
    _ = try core.store.create(object)
  }

  private func update(_ key: ObjectStore.Key, _ new: JSONValue) throws {
    try core.store.update(key) { object in
      for part in ["labels", "annotations"] {
        guard let values = new.at("metadata", part) else { continue }
        var merged = object.at("metadata", part) ?? .empty
        merged.merge(values)
        object.set("metadata", part, to: merged)
      }
      for part in ["finalizers", "ownerReferences"] {
        if let value = new.at("metadata", part) { object.set("metadata", part, to: value) }
      }
      let tokenVolume = object.at("spec", "volumes")?.array?.compactMap { $0["name"]?.string }
        .first { $0.hasPrefix(PodDefaults.tokenVolumePrefix) }
      let isMerged = ["pod", "node"].contains(key.type)
      for member in new.object ?? [] where !["kind", "apiVersion", "metadata"].contains(member.key) {
        if isMerged || member.key == "status" {
          var value = object[member.key] ?? .empty
          value.merge(member.value)
          object[member.key] = value
        } else {
          object[member.key] = member.value
        }
      }
      if !isMerged {
        for member in object.object ?? [] where new[member.key] == nil && member.key != "status" { object[member.key] = nil }
      }
      if key.type == "pod" {
        // Defaults may be gone with the lists that were replaced; the volume with the token keeps its name.
        PodDefaults.apply(to: &object, tokenVolume: tokenVolume)
      }
    }
  }

  /// The namespace's service account and the authority's certificate, which every namespace has.
  func ensureNamespace(_ namespace: String) {
    let metadata = JSONValue.members(("name", .string("default")), ("namespace", .string(namespace)))
    _ = try? core.store.create(.members(("kind", .string("ServiceAccount")), ("apiVersion", .string("v1")), ("metadata", metadata)))
    _ = try? core.store.create(
      .members(
        ("kind", .string("ConfigMap")), ("apiVersion", .string("v1")),
        (
          "metadata",
          .members(
            ("name", .string("kube-root-ca.crt")), ("namespace", .string(namespace)),
            ("annotations", .members(("kubernetes.io/description", .string("The authority of the cluster's API server.")))))
        ),
        ("data", .members(("ca.crt", .string(core.authority.pem))))))
  }

  private static func encodeStrings(_ secret: inout JSONValue) {
    for member in secret["stringData"]?.object ?? [] {
      secret.set("data", member.key, to: .string(Data((member.value.string ?? "").utf8).base64EncodedString()))
    }
    secret["stringData"] = nil
    secret.fill("type", .string("Opaque"))
  }

  /// Five characters, as API servers append them to names.
  private static func suffix() -> String {
    let letters = Array("bcdfghjklmnpqrstvwxz2456789")
    return String((0..<5).compactMap { _ in letters.randomElement() })
  }

  // MARK: Reading

  /// - Parameters:
  ///   - kind: `Pod`, `pod` or `pods`; likewise everywhere.
  ///   - namespace: nil is `default`, and nothing for kinds that have none.
  public func get(_ kind: String, namespace: String? = nil, name: String) -> JSONValue? { core.store.get(key(kind, namespace, name)) }

  /// All objects of a kind, of all namespaces.
  public func list(_ kind: String) -> [JSONValue] { core.store.list(ObjectKind(kind).type) }

  private func key(_ kind: String, _ namespace: String?, _ name: String) -> ObjectStore.Key {
    let kind = ObjectKind(kind)
    return .init(type: kind.type, namespace: kind.isNamespaced ? namespace ?? "default" : "", name: name)
  }

  /// Deletes an object. A pod stays until its node has confirmed, unless the grace period is 0.
  ///
  /// - Parameter gracePeriod: seconds; nil is what the pod says.
  /// - Throws: `CloudSimulatorError` if there is no such object.
  public func delete(_ kind: String, namespace: String? = nil, name: String, gracePeriod: Int64? = nil) throws {
    do {
      try core.store.delete(key(kind, namespace, name), gracePeriod: gracePeriod)
    } catch let error as APIError {
      throw CloudSimulatorError(error.message)
    }
  }

  // MARK: Watching

  /// Changes from now on: `{"type":"ADDED|MODIFIED|DELETED","object":…}`.
  public func changes() -> AsyncStream<JSONValue> {
    let (stream, continuation) = AsyncStream.makeStream(of: JSONValue.self)
    let id = core.store.watch { event in
      continuation.yield(.members(("type", .string(event.kind.rawValue)), ("object", event.object)))
    }
    continuation.onTermination = { [core] _ in core.store.unwatch(id) }
    return stream
  }

  /// Waits until an object is as it should be.
  ///
  /// - Throws: `CloudSimulatorError` with the object as it is when the time is over.
  @discardableResult
  public func wait(
    for kind: String, namespace: String? = nil, name: String, within limit: Duration = .seconds(60),
    until predicate: @escaping @Sendable (JSONValue) -> Bool
  ) async throws -> JSONValue {
    try await wait(key(kind, namespace, name), limit) { object in object.flatMap { predicate($0) ? $0 : nil } }
  }

  /// Waits until an object is gone.
  ///
  /// - Throws: `CloudSimulatorError` with the object as it is when the time is over.
  public func waitUntilGone(_ kind: String, namespace: String? = nil, name: String, within limit: Duration = .seconds(60)) async throws {
    _ = try await wait(key(kind, namespace, name), limit) { $0 == nil ? .null : nil }
  }

  private func wait(
    _ key: ObjectStore.Key, _ limit: Duration, _ check: @escaping @Sendable (JSONValue?) -> JSONValue?
  ) async throws -> JSONValue {
    let changes = changes()
    let found = await Deadline.first(within: limit) { [core] () -> JSONValue? in
      if let result = check(core.store.get(key)) { return result }
      for await change in changes {
        guard let object = change["object"], ObjectStore.key(of: object) == key else { continue }
        if let result = check(change["type"] == .string("DELETED") ? nil : object) { return result }
      }
      return nil
    }
    guard let found else {
      let last = core.store.get(key)?.jsonText() ?? "it does not exist"
      throw CloudSimulatorError("\(key.type) \(key.name) is not as it should be after \(limit): \(last)")
    }
    return found
  }
}
