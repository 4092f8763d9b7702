import Curl
import KubernetesAPI

/// One attempt to make.
struct ProbeJob: Sendable {
  var probe: Probe
  var container: Container
  /// `namespace/name`, for messages.
  var podName: String
  var containerID: String
  var podIPs: [String]

  var timeLimit: Duration { .seconds(max(1, probe.timeoutSeconds ?? 1)) }
}

/// Makes attempts, each within its probe's time limit.
struct ProbeExecutor: Sendable {
  let http: HTTPProber
  let tcp: TCPProber
  let grpc: GRPCProber
  let exec: ExecProber

  static let userAgent = "kube-probe/1.32"

  init(http client: HTTPClient, runCommand: @escaping CommandRunner) {
    self.http = HTTPProber(client: client)
    self.tcp = TCPProber(client: client)
    self.grpc = GRPCProber(client: client)
    self.exec = ExecProber(run: runCommand)
  }

  func attempt(_ job: ProbeJob) async -> ProbeOutcome {
    let probe = job.probe
    let limit = job.timeLimit
    do {
      if let action = probe.exec {
        return await exec.attempt(action, in: job.container, id: job.containerID, limit: limit)
      }
      if let action = probe.httpGet {
        let url = try HTTPTarget(action, container: job.container, podIPs: job.podIPs).url
        return await http.attempt(url, headers: action.httpHeaders ?? [], limit: limit)
      }
      if let action = probe.tcpSocket {
        let port = try PortLookup.number(of: action.port, in: job.container)
        return await tcp.attempt(host: try host(action.host, job), port: port, limit: limit)
      }
      if let action = probe.grpc {
        let port = try PortLookup.number(of: .int(action.port), in: job.container)
        return await grpc.attempt(host: try host(nil, job), port: port, service: action.service ?? "", limit: limit)
      }
      return .unknown("the probe of container \(job.container.name) in pod \(job.podName) has none of exec, httpGet, tcpSocket and grpc")
    } catch {
      return .unknown("\(error)")
    }
  }

  private func host(_ given: String?, _ job: ProbeJob) throws(PortLookupError) -> String {
    if let given, !given.isEmpty { return given }
    guard let address = job.podIPs.first else { throw .noAddress }
    return address
  }
}
