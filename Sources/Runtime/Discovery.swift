import Curl
import FoundationEssentials
import GRPC
import Glibc

/// Finds the container engine of this machine.
public struct RuntimeDiscovery: Sendable {
  public enum Outcome: Sendable {
    case found(any ContainerRuntime)
    /// Every socket that was tried.
    case missing([EngineAttempt])
  }

  /// In order of preference.
  public static let defaultEndpoints = [
    "unix:///run/containerd/containerd.sock", "unix:///run/k3s/containerd/containerd.sock", "unix:///var/run/docker.sock",
  ]

  private let endpoints: [String]
  private let http: HTTPClient
  private let factory: EngineFactory
  private let probeTimeout: Duration

  /// - Parameters:
  ///   - endpoint: `unix:///…` or an absolute path: only that one is tried. nil or empty: the default ones, in their order.
  ///   - http: For the questions asked here.
  ///   - probeTimeout: How long a socket may take to answer.
  public init(endpoint: String?, http: HTTPClient, factory: EngineFactory, probeTimeout: Duration = .seconds(5)) {
    if let endpoint, !endpoint.isEmpty { endpoints = [endpoint] } else { endpoints = Self.defaultEndpoints }
    self.http = http
    self.factory = factory
    self.probeTimeout = probeTimeout
  }

  init(endpoints: [String], http: HTTPClient, factory: EngineFactory, probeTimeout: Duration = .seconds(5)) {
    self.endpoints = endpoints
    self.http = http
    self.factory = factory
    self.probeTimeout = probeTimeout
  }

  /// Tries each socket once. Throws only when cancelled.
  public func find() async throws -> Outcome {
    var attempts: [EngineAttempt] = []
    for endpoint in endpoints {
      switch try await check(endpoint) {
      case .success(let runtime): return .found(runtime)
      case .failure(let reason): attempts.append(EngineAttempt(endpoint: endpoint, reason: reason))
      }
    }
    return .missing(attempts)
  }

  /// Tries until an engine answers, 100 ms after the first failure, then after twice as long each time, up to 5 s.
  /// - Parameter failed: Called after each round with what was tried.
  public func waitForEngine(failed: @Sendable ([EngineAttempt]) -> Void) async throws -> any ContainerRuntime {
    var pause = Duration.milliseconds(100)
    while true {
      switch try await find() {
      case .found(let runtime): return runtime
      case .missing(let attempts): failed(attempts)
      }
      try await Task.sleep(for: pause)
      pause = min(pause * 2, .seconds(5))
    }
  }

  private enum Check {
    case success(any ContainerRuntime)
    case failure(EngineAttempt.Reason)
  }

  private func check(_ endpoint: String) async throws -> Check {
    guard let path = Self.socketPath(endpoint) else { return .failure(.invalidEndpoint) }
    if let problem = Self.fileProblem(path) { return .failure(problem) }
    let isNamedDocker = path.split(separator: "/").last == "docker.sock"
    let criProblem = isNamedDocker ? nil : try await Self.criProblem(path, http: http, timeout: probeTimeout)
    if !isNamedDocker, criProblem == nil { return make(.cri, path) }
    // Nothing of either kind answers where nobody listens or where gRPC is understood.
    switch criProblem {
    case .criDisabled?, .permissionDenied?: return .failure(criProblem ?? .noSuchSocket)
    default: break
    }
    let dockerProblem = try await Self.dockerProblem(path, http: http, timeout: probeTimeout)
    guard let dockerProblem else { return make(.docker, path) }
    return .failure(criProblem ?? dockerProblem)
  }

  private func make(_ kind: EngineKind, _ path: String) -> Check {
    factory.engine(kind, socketPath: path).map(Check.success) ?? .failure(.dockerUnsupported)
  }

  // MARK: Questions

  static func socketPath(_ endpoint: String) -> String? {
    let path = endpoint.hasPrefix("unix://") ? String(endpoint.dropFirst("unix://".count)) : endpoint
    return path.hasPrefix("/") ? path : nil
  }

  /// nil when the file is a socket that may be used.
  static func fileProblem(_ path: String) -> EngineAttempt.Reason? {
    var info = stat()
    guard stat(path, &info) == 0 else { return errno == EACCES ? .permissionDenied : .noSuchSocket }
    guard info.st_mode & S_IFMT == S_IFSOCK else { return .notASocket }
    return access(path, R_OK | W_OK) == 0 ? nil : .permissionDenied
  }

  /// nil when CRI v1 answers.
  private static func criProblem(_ path: String, http: HTTPClient, timeout: Duration) async throws -> EngineAttempt.Reason? {
    var request = CRIVersionRequest()
    request.version = "0.1.0"
    do {
      let _: CRIVersionResponse = try await GRPCChannel(.unixSocket(path: path), http: http)
        .unary(CRIRuntime.Service.runtime.rawValue, "Version", request, timeout: timeout)
      return nil
    } catch let error as GRPCError {
      switch error.code {
      case .unimplemented: return .criDisabled(error.description)
      case .unavailable: return .noConnection(error.description)
      default: return .noAnswer(error.description)
      }
    }
  }

  /// nil when Docker answers.
  private static func dockerProblem(_ path: String, http: HTTPClient, timeout: Duration) async throws -> EngineAttempt.Reason? {
    struct Version: Decodable {
      var apiVersion: String

      enum CodingKeys: String, CodingKey {
        case apiVersion = "ApiVersion"
      }
    }
    var request = HTTPRequest("GET", "http://localhost/version", unixSocketPath: path)
    request.timeout = timeout
    do {
      let response = try await http.execute(request)
      let body = try await response.body.collect(upTo: 1 << 20)
      guard response.status == 200, (try? JSONDecoder().decode(Version.self, from: Data(body))) != nil else {
        return .noAnswer("HTTP status \(response.status)")
      }
      return nil
    } catch let error as HTTPError {
      return .noConnection(error.description)
    }
  }
}
