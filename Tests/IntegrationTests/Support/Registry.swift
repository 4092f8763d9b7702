import FoundationEssentials
import Glibc

/// A registry of one's own on 127.0.0.1, without TLS, that wants a login.
struct Registry: Sendable {
  let directory: String
  let address: String
  let user = "edge"
  let password = "s3cret-" + String(UInt64.random(in: 0...UInt64.max), radix: 16)

  static let canRun = ["docker-registry", "htpasswd"].allSatisfy { access("/usr/bin/" + $0, X_OK) == 0 }

  /// Starts it, gives it to `body`, and ends it.
  static func with(_ body: (Registry) async throws -> Void) async throws {
    let registry = try Registry()
    let pid = try await registry.start()
    do {
      try await body(registry)
    } catch {
      registry.end(pid)
      throw error
    }
    registry.end(pid)
  }

  private init() throws {
    directory = "/tmp/edgecore-registry-" + String(UInt32.random(in: 0...UInt32.max), radix: 16)
    address = "127.0.0.1:\(try Self.freePort())"
  }

  /// `{"auths": …}`, as an administrator puts it on a node.
  var dockerConfig: String {
    let login = Data("\(user):\(password)".utf8).base64EncodedString()
    return #"{"auths": {"\#(address)": {"auth": "\#(login)"}}}"#
  }

  /// Pushes the tests' image from an engine, which keeps no name for it. Returns its name here.
  func push(from engine: Engine) async throws -> String {
    let name = "\(address)/tests/busybox:1"
    switch engine.kind {
    case .containerd:
      _ = try await engine.ctr("images", "tag", Manifest.image, name)
      _ = try await engine.ctr("images", "push", "--plain-http", "--user", "\(user):\(password)", name)
      _ = try await engine.ctr("images", "rm", name)
    case .docker:
      try dockerConfig.write(toFile: directory + "/config.json", atomically: true, encoding: .utf8)
      _ = try await engine.docker("tag", Manifest.image, name)
      try await Shell.output("docker", ["--config", directory, "-H", engine.endpoint, "push", name])
      _ = try await engine.docker("rmi", name)
    }
    return name
  }

  private func start() async throws -> pid_t {
    try FileManager.default.createDirectory(atPath: directory + "/storage", withIntermediateDirectories: true)
    let users = try await Shell.output("htpasswd", ["-Bbn", user, password])
    try users.write(toFile: directory + "/htpasswd", atomically: true, encoding: .utf8)
    let configuration = """
      version: 0.1
      log: {level: warn}
      storage:
        filesystem: {rootdirectory: \(directory)/storage}
      http: {addr: "\(address)"}
      auth:
        htpasswd: {realm: tests, path: \(directory)/htpasswd}
      """
    try configuration.write(toFile: directory + "/config.yml", atomically: true, encoding: .utf8)
    let script = #"setsid nohup docker-registry serve "$1/config.yml" >"$1/log" 2>&1 </dev/null & echo $!"#
    let output = try await Shell.output("sh", ["-c", script, "_", directory])
    guard let pid = pid_t(output.trimmingLines().first ?? "") else { throw Shell.Failure(description: "no process: \(output)") }
    do {
      _ = try await eventually("the registry listens", within: .seconds(20)) { Self.isListening(address) ? true : nil }
    } catch {
      end(pid)
      throw Shell.Failure(description: "\(error)\n\(text(of: directory + "/log") ?? "")")
    }
    return pid
  }

  private func end(_ pid: pid_t) {
    kill(pid, SIGKILL)
    try? FileManager.default.removeItem(atPath: directory)
  }

  static func freePort() throws -> UInt16 {
    try withSocket(port: 0) { descriptor, address in
      var address = address
      var length = socklen_t(MemoryLayout<sockaddr_in>.size)
      return withUnsafeMutablePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
          guard bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0 else { return 0 }
          return pointer.pointee.sin_port.bigEndian
        }
      }
    }
  }

  private static func isListening(_ address: String) -> Bool {
    guard let port = UInt16(address.split(separator: ":").last ?? "") else { return false }
    let connected: Bool? = try? withSocket(port: port) { descriptor, address in
      withUnsafePointer(to: address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
          connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
        }
      }
    }
    return connected ?? false
  }

  private static func withSocket<Value>(port: UInt16, _ body: (Int32, sockaddr_in) -> Value) throws -> Value {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    guard descriptor >= 0 else { throw Shell.Failure(description: "no socket") }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return body(descriptor, address)
  }
}
