import HTTPServer
import KubernetesAPI

extension EdgedNode {
  /// The pod of that name. While an older one of the same name still ends, the newer one is meant.
  func pod(namespace: String, name: String) async -> Pod? {
    let found = await pods.all.filter { $0.pod.namespace == namespace && $0.pod.name == name }.map(\.pod)
    guard found.count > 1 else { return found.first }
    let wished = await Set(pods.wished.keys)
    return found.last { wished.contains($0.uid) } ?? found.last
  }

  /// The pod that a request's path names.
  func pod(_ request: ServerRequest) async throws(ServerError) -> Pod {
    guard let pod = await pod(namespace: request.parameters["namespace"] ?? "", name: request.parameters["pod"] ?? "") else {
      throw .notFound("pod does not exist")
    }
    return pod
  }

  /// The running container that a request's path names.
  func runningContainer(_ request: ServerRequest, of pod: Pod) async throws(ServerError) -> ContainerRecord {
    let name = request.parameters["container"] ?? ""
    let record = await view.record(of: pod.uid)
    guard let container = record?.containers.first(where: { $0.name == name && $0.state == .running }) else {
      throw .notFound("container not found (\"\(name)\")")
    }
    return container
  }
}

extension Pod {
  /// All containers by name, ephemeral ones included, with whether they have a terminal.
  var containerTerminals: [String: Bool] {
    var terminals: [String: Bool] = [:]
    for container in spec.containers + (spec.initContainers ?? []) + (spec.ephemeralContainers ?? []).map(\.container) {
      terminals[container.name] = container.tty ?? false
    }
    return terminals
  }
}
