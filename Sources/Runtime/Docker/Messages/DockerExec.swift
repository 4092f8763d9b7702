/// The body of `POST /containers/<id>/exec`.
struct DockerExecRequest: Encodable, Sendable {
  var command: [String]
  var tty = false
  var stdin = false
  var stdout = true
  var stderr = true
  var detachKeys: String?
  enum CodingKeys: String, CodingKey {
    case command = "Cmd"
    case tty = "Tty"
    case stdin = "AttachStdin"
    case stdout = "AttachStdout"
    case stderr = "AttachStderr"
    case detachKeys = "DetachKeys"
  }
}

/// The body of `POST /exec/<id>/start`.
struct DockerExecStart: Encodable, Sendable {
  var detach = false
  var tty: Bool
  enum CodingKeys: String, CodingKey {
    case detach = "Detach"
    case tty = "Tty"
  }
}

/// The answer to `GET /exec/<id>/json`.
struct DockerExec: Decodable, Sendable {
  var running: Bool
  var exitCode: Int32?
  var pid: Int32?
  enum CodingKeys: String, CodingKey {
    case running = "Running"
    case exitCode = "ExitCode"
    case pid = "Pid"
  }
}
