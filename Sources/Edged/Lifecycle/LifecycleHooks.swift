import Curl
import FoundationEssentials
import KubernetesAPI
import Runtime

/// Runs what a container asks for after its start and before its stop.
public struct LifecycleHooks: Sendable {
  private let events: any EventRecording
  private let http: HTTPGetter
  private let runCommand: CommandRunner

  static let userAgent = "kube-lifecycle/1.32"

  public init(events: any EventRecording, http: HTTPClient, runCommand: @escaping CommandRunner) {
    self.events = events
    self.http = HTTPGetter(client: http)
    self.runCommand = runCommand
  }

  /// Runs a hook to its end. A `sleep` ends early and quietly when the task is cancelled, as it should be when the container
  /// has stopped.
  /// - Parameters:
  ///   - containerID: the engine's id.
  ///   - limit: what remains of the grace period, for a hook before the stop; nil waits as long as it takes.
  /// - Throws: `LifecycleHookError`, or `CancellationError` when the task is cancelled.
  public func run(
    _ handler: LifecycleHandler, in container: Container, id containerID: String, of pod: Pod, podIPs: [String], limit: Duration? = nil
  ) async throws {
    guard let limit else { return try await perform(handler, container, containerID, pod, podIPs) }
    do {
      try await withTimeLimit(limit) { try await perform(handler, container, containerID, pod, podIPs) }
    } catch is TimeLimitExceeded {
      throw LifecycleHookError.outOfTime(limit: limit)
    } catch is CancellationError where handler.isSleep {
      return
    }
  }

  private func perform(
    _ handler: LifecycleHandler, _ container: Container, _ containerID: String, _ pod: Pod, _ podIPs: [String]
  ) async throws {
    if let exec = handler.exec {
      try await perform(exec, containerID)
    } else if let action = handler.httpGet {
      try await perform(action, container, pod, podIPs)
    } else if let sleep = handler.sleep {
      try? await Task.sleep(for: .seconds(max(0, sleep.seconds)))
    } else {
      throw LifecycleHookError.invalidHandler
    }
  }

  private func perform(_ exec: ExecAction, _ containerID: String) async throws {
    let result: ExecResult
    do {
      result = try await runCommand(containerID, exec.command ?? [], nil)
    } catch let error as RuntimeError {
      throw LifecycleHookError.notRun("\(error)")
    }
    guard result.exitCode == 0 else { throw LifecycleHookError.exited(code: result.exitCode) }
  }

  /// Any answer will do: the status isn't looked at.
  private func perform(_ action: HTTPGetAction, _ container: Container, _ pod: Pod, _ podIPs: [String]) async throws {
    let url: URL
    do {
      url = try HTTPTarget(action, container: container, podIPs: podIPs, defaultPort: 80).url
    } catch {
      throw LifecycleHookError.noTarget("\(error)")
    }
    let headers = HTTPGetter.headers(action.httpHeaders ?? [], userAgent: Self.userAgent)
    do {
      _ = try await http.get(url, headers: headers, limit: nil)
    } catch {
      if error is CancellationError || Task.isCancelled { throw CancellationError() }
      guard url.scheme == "https", Self.isPlainHTTPReply(error), let plain = URL(string: "http" + url.absoluteString.dropFirst(5)) else {
        throw LifecycleHookError.notAnswered(HTTPGetter.describe(error, url: url))
      }
      // Credentials were meant for an encrypted connection only.
      let fields = headers.filter { $0.name.lowercased() != "authorization" }
      do {
        _ = try await http.get(plain, headers: fields, limit: nil)
      } catch {
        if error is CancellationError || Task.isCancelled { throw CancellationError() }
        throw LifecycleHookError.notAnswered(HTTPGetter.describe(error, url: plain))
      }
      events.record(
        pod, fieldPath: LifecycleHooks.fieldPath(of: container, in: pod), .warning, reason: "LifecycleHTTPFallback",
        message: "the HTTPS lifecycle hook of container \(container.name) was answered in plain HTTP, "
          + "so the request was made over HTTP")
    }
  }

  private static func fieldPath(of container: Container, in pod: Pod) -> String {
    let isInit = pod.spec.initContainers?.contains { $0.name == container.name } ?? false
    return "spec.\(isInit ? "initContainers" : "containers"){\(container.name)}"
  }

  /// Whether a failed handshake looks as if the other side had spoken HTTP: TLS libraries then complain of the first bytes.
  static func isPlainHTTPReply(_ error: any Error) -> Bool {
    guard let error = error as? HTTPError, error.kind == .tls else { return false }
    let text = error.message.lowercased()
    return ["wrong version number", "http request", "packet length too long", "record layer failure", "unexpected tls packet"]
      .contains { text.contains($0) }
  }
}

extension LifecycleHandler {
  fileprivate var isSleep: Bool { exec == nil && httpGet == nil && sleep != nil }
}
