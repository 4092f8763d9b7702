import Curl
import FoundationEssentials
import Logging
import Synchronization

/// Docker's engine in the words of CRI: a sandbox is a container of the pause image, and the pod's containers join its namespaces.
///
/// Names and labels are those of Kubernetes' own Docker adapters, so that their containers are known here. Containers without
/// these labels are neither listed nor touched.
public final class DockerRuntime: ContainerRuntime {
  public let scheme = "docker"
  public var endpoint: String { api.socketPath }

  let api: DockerAPI
  private let http: HTTPClient
  let podSandboxImage: String
  let logOptions: [String: String]
  let logger: Logger
  let scores = DockerOOMScores()

  /// - Parameters:
  ///   - socketPath: Usually `/var/run/docker.sock`. The engine's API is 1.41 or newer.
  ///   - http: This runtime's own: it is shut down with it.
  ///   - requestTimeout: How long a call may take; starting a sandbox, stopping a container and commands have more.
  ///   - podSandboxImage: Runs in each sandbox and has to do nothing until it is stopped. Pulled when it is missing.
  ///   - logMaxSize: In bytes; the engine then begins a new log file.
  ///   - logMaxFiles: How many log files it keeps of a container.
  public init(
    socketPath: String, http: HTTPClient, requestTimeout: Duration, podSandboxImage: String = "kubeedge/pause:3.6",
    logMaxSize: Int64 = 10 << 20, logMaxFiles: Int = 5, logger: Logger = Logger(label: "runtime.docker")
  ) {
    self.http = http
    api = DockerAPI(socketPath: socketPath, http: http, requestTimeout: requestTimeout)
    self.podSandboxImage = podSandboxImage
    logOptions = ["max-size": String(max(logMaxSize, 1)), "max-file": String(max(logMaxFiles, 1))]
    self.logger = logger
  }

  public func version() async throws -> CRIVersionResponse {
    let answer = try await api.askVersion("Version")
    return .with {
      $0.version = "0.1.0"
      $0.runtimeName = "docker"
      $0.runtimeVersion = answer.version
      $0.runtimeApiVersion = answer.apiVersion
    }
  }

  public func status() async throws -> CRIRuntimeStatus {
    try await api.send("Status", "GET", "/_ping")
    var network = CRIRuntimeCondition.with {
      $0.type = "NetworkReady"
      $0.status = true
    }
    do {
      try await api.send("Status", "GET", "/networks/bridge")
    } catch let error as RuntimeError where error.code == .notFound {
      network.status = false
      network.reason = "NetworkMissing"
      network.message = "the engine has no network \"bridge\": \(error.message)"
    }
    return .with {
      $0.conditions = [
        .with {
          $0.type = "RuntimeReady"
          $0.status = true
        }, network,
      ]
    }
  }

  public func features() async throws -> CRIRuntimeFeatures { CRIRuntimeFeatures() }

  public func cgroupDriver() async throws -> CRICgroupDriver? {
    let info: DockerInfo = try await api.get("RuntimeConfig", "/info")
    switch info.cgroupDriver {
    case "systemd": return .systemd
    case "cgroupfs": return .cgroupfs
    default: return nil
    }
  }

  public func shutdown() async {
    await http.shutdown()
  }

  // MARK: Shared steps

  /// Inspects one of our own containers; others are reported as not found.
  func inspect(_ id: String, kind: DockerLabel.Kind, operation: String) async throws -> DockerContainer {
    guard !id.isEmpty else { throw RuntimeError(.invalidArgument, operation: operation, message: "the id is empty") }
    let container: DockerContainer = try await api.get(operation, "/containers/\(id)/json")
    guard container.kind == kind else {
      throw RuntimeError(
        .notFound, operation: operation,
        message: "container \(id) has no label \(DockerLabel.type)=\(kind.rawValue): it isn't one of the pods'")
    }
    return container
  }

  func list(_ operation: String, filters: [String: [String]]) async throws -> [DockerContainerSummary] {
    try await api.get(operation, "/containers/json", query: [("all", "1"), ("filters", try Self.encode(filters))])
  }

  static func encode(_ filters: [String: [String]]) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(filters), as: UTF8.self)
  }

  /// The label filters that select our containers of that kind.
  static func filters(kind: DockerLabel.Kind, id: String = "", sandboxID: String = "", labels: [String: String] = [:])
    -> [String: [String]]
  {
    var selected = ["\(DockerLabel.type)=\(kind.rawValue)"]
    if !sandboxID.isEmpty { selected.append("\(DockerLabel.sandboxID)=\(sandboxID)") }
    selected += labels.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    return id.isEmpty ? ["label": selected] : ["label": selected, "id": [id]]
  }

  /// Creates a container under its name. A dead container that has the name already is removed; when the name can't be freed for
  /// another reason than a living container of ours, the new one gets a suffix.
  func create(_ operation: String, name: DockerName, _ request: DockerContainerRequest) async throws -> String {
    do {
      return try await create(operation, name: name.text, request)
    } catch let error as RuntimeError where error.code == .alreadyExists {
      guard try await freeName(operation, conflict: error) else {
        return try await create(operation, name: name.unique, request)
      }
    }
    do {
      return try await create(operation, name: name.text, request)
    } catch let error as RuntimeError where error.code == .alreadyExists {
      return try await create(operation, name: name.unique, request)
    }
  }

  private func create(_ operation: String, name: String, _ request: DockerContainerRequest) async throws -> String {
    let answer: DockerCreated = try await api.post(operation, "/containers/create", query: [("name", name)], body: request)
    return answer.id
  }

  /// Removes the container that has the name, if it is ours and doesn't run. False: the name stays taken.
  private func freeName(_ operation: String, conflict: RuntimeError) async throws -> Bool {
    guard let id = Self.conflictingID(conflict.message) else { return false }
    let holder: DockerContainer
    do {
      holder = try await api.get(operation, "/containers/\(id)/json")
    } catch let error as RuntimeError where error.code == .notFound {
      return true
    }
    guard holder.kind != nil else { return false }
    guard !holder.state.running else { throw conflict }
    logger.notice("removing a dead container that has the name", metadata: ["id": "\(id)", "name": "\(holder.name)"])
    do {
      try await remove(holder, operation: operation)
      return true
    } catch is RuntimeError {
      return false
    }
  }

  /// The id in `Conflict. The container name "/x" is already in use by container "<id>".`
  static func conflictingID(_ message: String) -> String? {
    let parts = message.split(separator: "\"", omittingEmptySubsequences: false)
    return parts.lazy.map(String.init).first { DockerImageReference.imageID($0) != nil }
  }

  /// Removes a container with its volumes and the link to its log; one that is gone already is no error.
  func remove(_ container: DockerContainer, operation: String) async throws {
    try await remove(container.id, operation: operation)
    if let path = container.labels[DockerLabel.logPath] { DockerLogLink.remove(path, ofContainer: container.id) }
  }

  func remove(_ id: String, operation: String) async throws {
    do {
      try await api.send(operation, "DELETE", "/containers/\(id)", query: [("v", "1"), ("force", "1")])
    } catch let error as RuntimeError where error.code == .notFound {
    } catch let error as RuntimeError where error.code == .failedPrecondition && error.message.contains("already in progress") {
      // Somebody else removes it: done when they are.
      do {
        try await api.send(operation, "POST", "/containers/\(id)/wait", query: [("condition", "removed")])
      } catch let error as RuntimeError where error.code == .notFound {}
    }
  }

  /// Stops a container; one that doesn't run or is gone already is no error.
  func stop(_ id: String, gracePeriod: Int64, operation: String) async throws {
    let seconds = max(gracePeriod, 0)
    do {
      try await api.send(
        operation, "POST", "/containers/\(id)/stop", query: [("t", String(seconds))], deadline: .usual(plus: .seconds(seconds)))
    } catch let error as RuntimeError where error.code == .notFound {}
  }
}
