import KubernetesAPI

/// The files that volumes are made of when the agent writes them.
struct VolumePayload: Sendable {
  typealias Files = [String: AtomicWriter.File]

  private static let defaultMode: Int32 = 0o644

  let downward: DownwardAPI
  let objects: PodObjects

  private var pod: Pod { downward.pod }

  /// The files by path below the volume; none for volumes that others write.
  func files(of volume: Volume) throws -> Files {
    if let source = volume.configMap {
      return try files(
        .configMap, source.name, source.items, mode: source.defaultMode ?? Self.defaultMode, isOptional: source.optional == true)
    }
    if let source = volume.secret {
      return try files(
        .secret, source.secretName, source.items, mode: source.defaultMode ?? Self.defaultMode, isOptional: source.optional == true)
    }
    if let source = volume.downwardAPI { return try files(source.items ?? [], mode: source.defaultMode ?? Self.defaultMode) }
    if let source = volume.projected { return try files(source) }
    return [:]
  }

  /// Adds what the files depend on, and what may change while the pod runs: cheaper than making them.
  func hashInputs(of volume: Volume, into hasher: inout Hasher) {
    if let source = volume.configMap { hash(.configMap, source.name, into: &hasher) }
    if let source = volume.secret { hash(.secret, source.secretName, into: &hasher) }
    if let source = volume.downwardAPI { hasher.combine(try? files(source.items ?? [], mode: 0)) }
    for source in volume.projected?.sources ?? [] {
      if let source = source.configMap { hash(.configMap, source.name, into: &hasher) }
      if let source = source.secret { hash(.secret, source.name, into: &hasher) }
      if let source = source.downwardAPI { hasher.combine(try? files(source.items ?? [], mode: 0)) }
      if let source = source.serviceAccountToken {
        hasher.combine(try? objects.token(ServiceAccountTokens.Request(source, of: pod)).get().text)
      }
    }
  }

  private func hash(_ kind: PodObjects.Kind, _ name: String?, into hasher: inout Hasher) {
    switch objects.content(kind, name ?? "") {
    case .success(let content): hasher.combine(content.revision)
    case .failure(.notFound): hasher.combine(-1)
    case .failure: hasher.combine(-2)
    }
  }

  // MARK: Projected volumes

  /// Where sources have the same path, the later one wins. All sources that fail are told of.
  private func files(_ source: ProjectedVolumeSource) throws -> Files {
    let mode = source.defaultMode ?? Self.defaultMode
    var payload: Files = [:]
    var failures: [String] = []
    for projection in source.sources ?? [] {
      do {
        payload.merge(try files(projection, mode: mode)) { $1 }
      } catch {
        failures.append("\(error)")
      }
    }
    if failures.isEmpty { return payload }
    throw VolumeError(failures.count == 1 ? failures[0] : "[" + failures.joined(separator: ", ") + "]")
  }

  private func files(_ projection: VolumeProjection, mode: Int32) throws -> Files {
    if let source = projection.downwardAPI { return try files(source.items ?? [], mode: mode) }
    if let source = projection.configMap {
      return try files(.configMap, source.name, source.items, mode: mode, isOptional: source.optional == true)
    }
    if let source = projection.secret {
      return try files(.secret, source.name, source.items, mode: mode, isOptional: source.optional == true)
    }
    if let source = projection.serviceAccountToken { return [source.path: try file(source, mode: mode)] }
    throw VolumeError("projected source of an unknown kind; known are downwardAPI, configMap, secret and serviceAccountToken")
  }

  private func file(_ source: ServiceAccountTokenProjection, mode: Int32) throws(VolumeError) -> AtomicWriter.File {
    switch objects.token(ServiceAccountTokens.Request(source, of: pod)) {
    case .success(let token):
      // Where it is known who reads the token, nobody else may; the group of the pod's volumes gets its access with them.
      let owner = pod.commonUser
      let isPrivate = owner != nil || pod.spec.securityContext?.fsGroup != nil
      return AtomicWriter.File(
        bytes: Array(token.text.utf8), mode: isPrivate ? 0o600 : Self.bits(mode), owner: owner.map { UInt32(truncatingIfNeeded: $0) })
    case .failure(.noCloud): throw Self.needsCloud("serviceAccountToken")
    case .failure(let absence): throw VolumeError("failed to fetch token: \(absence.reason)")
    }
  }

  // MARK: ConfigMaps and Secrets

  private func files(
    _ kind: PodObjects.Kind, _ name: String?, _ items: [KeyToPath]?, mode: Int32, isOptional: Bool
  ) throws(VolumeError) -> Files {
    let name = name ?? ""
    let content: ObjectContent
    switch objects.content(kind, name) {
    case .success(let found): content = found
    case .failure(.notFound) where isOptional, .failure(.noCloud) where isOptional: return [:]
    case .failure(.notFound): throw VolumeError("\(kind.type) \"\(name)\" not found")
    case .failure(.noCloud): throw Self.needsCloud(kind == .configMap ? "configMap" : "secret")
    case .failure(.unknown(let reason)): throw VolumeError("couldn't fetch \(kind.type) \"\(name)\": \(reason)")
    }
    var payload: Files = [:]
    if let items, !items.isEmpty {
      for item in items {
        guard let bytes = content.bytes(item.key) else {
          if isOptional { continue }
          throw VolumeError(
            kind == .configMap
              ? "configmap references non-existent config key: \(item.key)" : "references non-existent secret key: \(item.key)")
        }
        payload[item.path] = AtomicWriter.File(bytes: bytes, mode: Self.bits(item.mode ?? mode))
      }
    } else {
      for (key, bytes) in content.values { payload[key] = AtomicWriter.File(bytes: bytes, mode: Self.bits(mode)) }
      for (key, bytes) in content.binary { payload[key] = AtomicWriter.File(bytes: bytes, mode: Self.bits(mode)) }
    }
    return payload
  }

  private static func needsCloud(_ kind: String) -> VolumeError { VolumeError("\(kind) volumes need a cloud connection") }

  private static func bits(_ mode: Int32) -> UInt32 { UInt32(truncatingIfNeeded: mode) & 0o777 }

  // MARK: The pod itself

  private func files(_ items: [DownwardAPIVolumeFile], mode: Int32) throws -> Files {
    var payload: Files = [:]
    for item in items {
      let text: String
      if let field = item.fieldRef {
        text = try downward.field(field.fieldPath)
      } else if let selector = item.resourceFieldRef {
        text = try downward.resource(selector, container: try container(of: selector, path: item.path))
      } else {
        throw VolumeError("item \"\(item.path)\" needs fieldRef or resourceFieldRef")
      }
      payload[item.path] = AtomicWriter.File(bytes: Array(text.utf8), mode: Self.bits(item.mode ?? mode))
    }
    return payload
  }

  private func container(of selector: ResourceFieldSelector, path: String) throws -> Container {
    let containers = pod.spec.containers + (pod.spec.initContainers ?? [])
    guard let name = selector.containerName, let container = containers.first(where: { $0.name == name }) else {
      let names = containers.map(\.name).joined(separator: ", ")
      throw VolumeError("item \"\(path)\": container \"\(selector.containerName ?? "")\" is none of this pod's: \(names)")
    }
    return container
  }
}

extension Pod {
  /// The user that all containers run as; nil if they differ, or if one leaves it to its image.
  var commonUser: Int64? {
    let users = (spec.containers + (spec.initContainers ?? [])).map { $0.securityContext?.runAsUser ?? spec.securityContext?.runAsUser }
    guard let first = users.first, let user = first, users.allSatisfy({ $0 == user }) else { return nil }
    return user
  }
}
