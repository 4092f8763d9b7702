import FoundationEssentials
import Glibc

/// What tests see and do behind the agent's back, with the engines' own tools.
extension Engine {
  private var socket: String { String(endpoint.dropFirst("unix://".count)) }

  func ctr(_ arguments: String...) async throws -> String {
    try await Shell.output("ctr", ["-a", socket, "-n", "k8s.io"] + arguments)
  }

  func docker(_ arguments: String...) async throws -> String { try await docker(arguments: arguments) }

  func docker(arguments: [String]) async throws -> String { try await Shell.output("docker", ["-H", endpoint] + arguments) }

  /// IDs of all containers and sandboxes of a pod, or of all pods.
  func containers(ofPod uid: String?) async throws -> [String] {
    switch kind {
    case .containerd:
      guard let uid else { return try await ctr("containers", "ls", "-q").trimmingLines() }
      return try await ctr("containers", "ls", "-q", #"labels."io.kubernetes.pod.uid"=="\#(uid)""#).trimmingLines()
    case .docker:
      guard let uid else { return try await docker("ps", "-aq", "--no-trunc").trimmingLines() }
      return try await docker("ps", "-aq", "--no-trunc", "--filter", "label=io.kubernetes.pod.uid=\(uid)").trimmingLines()
    }
  }

  /// IDs of a pod's sandboxes that run.
  func runningSandboxes(ofPod uid: String) async throws -> [String] {
    switch kind {
    case .containerd:
      let filter = #"labels."io.kubernetes.pod.uid"=="\#(uid)",labels."io.cri-containerd.kind"==sandbox"#
      let sandboxes = Set(try await ctr("containers", "ls", "-q", filter).trimmingLines())
      return try await ctr("tasks", "ls").trimmingLines().compactMap { line in
        let words = line.split(separator: " ")
        guard words.count == 3, words[2] == "RUNNING", sandboxes.contains(String(words[0])) else { return nil }
        return String(words[0])
      }
    case .docker:
      return try await docker(
        "ps", "-q", "--no-trunc", "--filter", "label=io.kubernetes.pod.uid=\(uid)", "--filter", "label=io.kubernetes.docker.type=podsandbox"
      ).trimmingLines()
    }
  }

  /// Kills the engine's process, and nothing of what it started. Returns its command line.
  func crash() async throws -> [String] {
    guard let pid, let line = text(of: "/proc/\(pid)/cmdline") else { throw Shell.Failure(description: "no process in \(directory)") }
    kill(pid, SIGKILL)
    _ = try await eventually("the engine is dead") { (text(of: "/proc/\(pid)/cmdline") ?? "").isEmpty ? true : nil }
    return line.split(separator: "\0").map(String.init)
  }

  /// Starts a killed engine again on what it left.
  func revive(_ command: [String]) async throws {
    // Docker waits for the process that such a file names, and takes its containerd (which dies with it) for alive: for as long as the
    // dead one has not been reaped, which a container's first process may never do.
    for file in ["dockerd.pid", "exec/containerd/containerd.pid"] { unlink(directory + "/" + file) }
    let script = #"pidfile=$1 log=$2; shift 2; setsid nohup "$@" >>"$log" 2>&1 </dev/null & echo $! >"$pidfile""#
    let files = [directory + "/\(kind.rawValue).pid", directory + "/engine.log"]
    try await Shell.output("sh", ["-c", script, "_"] + files + command)
    _ = try await eventually("the engine answers") {
      switch kind {
      case .containerd: try await ctr("version")
      case .docker: try await docker("version")
      }
    }
  }
}
