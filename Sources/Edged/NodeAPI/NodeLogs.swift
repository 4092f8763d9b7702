import HTTPServer
import KubernetesAPI
import Runtime

/// Logs of containers, as `kubectl logs` asks for them.
struct NodeLogs: Sendable {
  let node: @Sendable () throws -> EdgedNode

  func answer(_ request: ServerRequest) async throws -> ServerResponse {
    let query = try LogQuery(request)
    let namespace = request.parameters["namespace"] ?? ""
    let name = request.parameters["pod"] ?? ""
    let container = request.parameters["container"] ?? ""
    let node = try node()
    guard let pod = await node.pod(namespace: namespace, name: name) else {
      throw ServerError.notFound("pod \"\(name)\" does not exist")
    }
    guard pod.containerTerminals[container] != nil else {
      throw ServerError.notFound("container \"\(container)\" not found in pod \"\(name)\"")
    }
    let fullID = try LogSelection.containerID(container, of: pod, previous: query.previous)
    // The scheme says which engine; a container of another one is gone.
    let prefix = node.runtime.scheme + "://"
    let gone = ServerResponse.text("unable to retrieve container logs for \(fullID)")
    guard fullID.hasPrefix(prefix) else { return gone }
    let log = ContainerLog(
      runtime: node.runtime, view: node.view, podUID: pod.uid, containerID: String(fullID.dropFirst(prefix.count)))
    let reader: LogReader
    do {
      reader = try await log.reader(query.options(now: .now), follow: query.follow)
    } catch let error as RuntimeError where error.code == .notFound {
      return gone
    } catch {
      throw ServerError.badRequest("\(error)")
    }
    return ServerResponse(
      contentType: "text/plain; charset=utf-8", body: .stream { writer in for try await chunk in reader { try await writer.write(chunk) } })
  }
}
