import KubernetesAPI

/// Makes the environment of a pod's containers.
struct EnvironmentBuilder: Sendable {
  var downward: DownwardAPI
  /// What `configMapRef`, `secretRef` and their key forms refer to.
  var objects = PodObjects()
  /// Variables that containers get unless they define them: those of services.
  var services = ContainerEnvironment()

  /// First whole objects, then single variables, which may refer to what was defined before them, then services.
  func build(_ container: Container) throws(ContainerConfigError) -> ContainerEnvironment {
    var environment = ContainerEnvironment()
    for source in container.envFrom ?? [] { try add(source, to: &environment) }
    for variable in container.env ?? [] {
      if let text = variable.value, !text.isEmpty {
        environment[variable.name] = VariableExpansion.expand(text) { environment[$0] ?? services[$0] }
      } else if let source = variable.valueFrom {
        environment[variable.name] = try value(of: source, container)
      } else {
        environment[variable.name] = ""
      }
    }
    for (name, value) in services.variables where environment[name] == nil { environment[name] = value }
    return environment
  }

  private func add(_ source: EnvFromSource, to environment: inout ContainerEnvironment) throws(ContainerConfigError) {
    let references = [(PodObjects.Kind.configMap, source.configMapRef), (PodObjects.Kind.secret, source.secretRef)]
    for case (let kind, let reference?) in references {
      let name = reference.name ?? ""
      guard let content = try content(kind, name, isOptional: reference.optional == true) else { continue }
      // An object's keys have no order; sorted, a restarted container gets the same.
      for (key, value) in content.values.sorted(by: { $0.key < $1.key }) {
        environment[(source.prefix ?? "") + key] = String(decoding: value, as: UTF8.self)
      }
    }
  }

  /// nil: the variable stays undefined.
  private func value(of source: EnvVarSource, _ container: Container) throws(ContainerConfigError) -> String? {
    do {
      if let field = source.fieldRef { return try downward.field(field.fieldPath) }
      if let resource = source.resourceFieldRef {
        return try downward.resource(resource, container: try self.container(resource.containerName, default: container))
      }
    } catch let error as DownwardAPIError {
      throw ContainerConfigError.downwardAPI(error.description)
    } catch let error as ContainerConfigError {
      throw error
    } catch {
      throw ContainerConfigError.downwardAPI("\(error)")
    }
    if let selector = source.configMapKeyRef { return try value(of: selector, in: .configMap) }
    if let selector = source.secretKeyRef { return try value(of: selector, in: .secret) }
    return ""
  }

  private func value(of selector: KeySelector, in kind: PodObjects.Kind) throws(ContainerConfigError) -> String? {
    let name = selector.name ?? ""
    guard let content = try content(kind, name, isOptional: selector.optional == true) else { return nil }
    guard let value = content.values[selector.key] else {
      if selector.optional == true { return nil }
      throw ContainerConfigError.keyNotFound(kind, key: selector.key, namespace: downward.pod.namespace, name: name)
    }
    return String(decoding: value, as: UTF8.self)
  }

  /// nil: there is no such object, and there need not be. What may exist but can't be had is an error in any case.
  private func content(_ kind: PodObjects.Kind, _ name: String, isOptional: Bool) throws(ContainerConfigError) -> ObjectContent? {
    switch objects.content(kind, name) {
    case .success(let content): return content
    case .failure(.unknown(let reason)): throw ContainerConfigError.objectUnavailable(kind, name: name, reason: reason)
    case .failure:
      if isOptional { return nil }
      throw ContainerConfigError.objectNotFound(kind, name: name)
    }
  }

  private func container(_ name: String?, default container: Container) throws(ContainerConfigError) -> Container {
    guard let name, !name.isEmpty, name != container.name else { return container }
    let spec = downward.pod.spec
    guard let other = (spec.containers + (spec.initContainers ?? [])).first(where: { $0.name == name }) else {
      throw ContainerConfigError.containerNotFound(name)
    }
    return other
  }
}
