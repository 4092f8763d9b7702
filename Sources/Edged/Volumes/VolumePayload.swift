import KubernetesAPI

/// The files that a volume is made of when the agent writes it.
enum VolumePayload {
  private static let defaultMode: Int32 = 0o644

  static func of(_ source: DownwardAPIVolumeSource, _ downward: DownwardAPI) throws -> [String: AtomicWriter.File] {
    try files(source.items ?? [], mode: source.defaultMode ?? defaultMode, downward)
  }

  /// Where sources have the same path, the later one wins.
  static func of(_ source: ProjectedVolumeSource, _ downward: DownwardAPI) throws -> [String: AtomicWriter.File] {
    let mode = source.defaultMode ?? defaultMode
    var payload: [String: AtomicWriter.File] = [:]
    for projection in source.sources ?? [] {
      if let source = projection.downwardAPI {
        payload.merge(try files(source.items ?? [], mode: mode, downward)) { $1 }
      } else if let source = projection.configMap {
        guard source.optional == true else { throw needsCloud("configMap") }
      } else if let source = projection.secret {
        guard source.optional == true else { throw needsCloud("secret") }
      } else if projection.serviceAccountToken != nil {
        throw needsCloud("serviceAccountToken")
      } else {
        throw VolumeError("projected source of an unknown kind; known are downwardAPI, configMap, secret and serviceAccountToken")
      }
    }
    return payload
  }

  static func needsCloud(_ kind: String) -> VolumeError { VolumeError("\(kind) volumes need a cloud connection") }

  private static func files(
    _ items: [DownwardAPIVolumeFile], mode: Int32, _ downward: DownwardAPI
  ) throws -> [String: AtomicWriter.File] {
    var payload: [String: AtomicWriter.File] = [:]
    for item in items {
      let text: String
      if let field = item.fieldRef {
        text = try downward.field(field.fieldPath)
      } else if let selector = item.resourceFieldRef {
        text = try downward.resource(selector, container: try container(of: selector, path: item.path, pod: downward.pod))
      } else {
        throw VolumeError("item \"\(item.path)\" needs fieldRef or resourceFieldRef")
      }
      payload[item.path] = AtomicWriter.File(bytes: Array(text.utf8), mode: UInt32(truncatingIfNeeded: item.mode ?? mode) & 0o777)
    }
    return payload
  }

  private static func container(of selector: ResourceFieldSelector, path: String, pod: Pod) throws -> Container {
    let containers = pod.spec.containers + (pod.spec.initContainers ?? [])
    guard let name = selector.containerName, let container = containers.first(where: { $0.name == name }) else {
      let names = containers.map(\.name).joined(separator: ", ")
      throw VolumeError("item \"\(path)\": container \"\(selector.containerName ?? "")\" is none of this pod's: \(names)")
    }
    return container
  }
}
