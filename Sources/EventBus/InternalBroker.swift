import Core
import Glibc
import Logging

/// Why the agent's own broker can't be run.
struct InternalBrokerError: Error, CustomStringConvertible {
  var description: String
}

/// The broker that the agent runs: Mosquitto with a configuration of its own, below the agent's data.
///
/// The agent itself uses a Unix socket in a folder that only its owner may enter, so that it needs no password there.
struct InternalBroker: Sendable {
  let folder: String
  let address: BrokerAddress
  let configuration: EventBusConfiguration

  /// - Parameter dataFolder: where the agent's database is.
  init(configuration: EventBusConfiguration, dataFolder: String) throws {
    self.configuration = configuration
    folder = dataFolder + "/mosquitto"
    address = try BrokerAddress(configuration.mqttServerInternal)
  }

  var socket: String { folder + "/agent.sock" }
  private var configurationFile: String { folder + "/mosquitto.conf" }

  /// The broker's configuration file.
  func text(isRoot: Bool) -> String {
    let broker = configuration.internalBroker
    var lines = [
      "# Written by edgecore at each start.",
      "per_listener_settings true",
      "persistence true",
      "persistence_location \(folder)/",
      "persistence_file mosquitto.db",
      "autosave_interval 60",
      "max_queued_messages \(configuration.mqttSessionQueueSize)",
      // Only clients that are away or don't read have a queue; none loses messages because it confirms them late.
      "max_inflight_messages 0",
      "set_tcp_nodelay true",
      "connection_messages false",
      "log_dest stdout",
      "log_timestamp false",
      "log_type error",
      "log_type warning",
      "log_type notice",
    ]
    // It gives its rights up otherwise, and could not reach its files any more.
    if isRoot { lines.append("user root") }
    lines.append("listener 0 \(socket)")
    lines.append("allow_anonymous true")
    if address.scheme == "unix" {
      lines.append("listener 0 \(address.path)")
    } else {
      lines.append("listener \(address.port) \(address.host)")
    }
    lines.append("allow_anonymous \(broker.passwordFile.isEmpty)")
    if !broker.passwordFile.isEmpty { lines.append("password_file \(broker.passwordFile)") }
    if !broker.aclFile.isEmpty { lines.append("acl_file \(broker.aclFile)") }
    if address.usesTLS {
      lines.append("certfile \(broker.tlsCertFile)")
      lines.append("keyfile \(broker.tlsPrivateKeyFile)")
      if !broker.tlsClientCAFile.isEmpty {
        lines.append("cafile \(broker.tlsClientCAFile)")
        lines.append("require_certificate true")
      }
    }
    return lines.joined(separator: "\n") + "\n"
  }

  /// Writes the configuration.
  ///
  /// - Returns: what to run.
  /// - Throws: `InternalBrokerError`.
  func prepare() throws -> ChildProcess.Configuration {
    guard socket.utf8.count <= 107 else {
      throw InternalBrokerError(description: "the path of the broker's socket, \(socket), is too long")
    }
    guard mkdir(folder, 0o700) == 0 || errno == EEXIST, chmod(folder, 0o700) == 0 else {
      throw InternalBrokerError(description: "can't make the folder \(folder): \(String(cString: strerror(errno)))")
    }
    // One that was killed left it.
    unlink(socket)
    if address.scheme == "unix" { unlink(address.path) }
    try write(text(isRoot: geteuid() == 0))
    let name = configuration.internalBroker.executable
    guard let executable = Self.executable(name) else {
      throw InternalBrokerError(
        description: "the broker \(name) is not there; install the package mosquitto, or set internalBroker.executable")
    }
    return ChildProcess.Configuration(
      name: "mosquitto", executable: executable, arguments: ["-c", configurationFile], directory: folder,
      backoff: Backoff(initial: .milliseconds(500), maximum: .seconds(30)), healthyAfter: .seconds(30), terminationGrace: .seconds(4))
  }

  private func write(_ text: String) throws {
    let temporary = configurationFile + ".new"
    unlink(temporary)
    let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else {
      throw InternalBrokerError(description: "can't write \(temporary): \(String(cString: strerror(errno)))")
    }
    let bytes = Array(text.utf8)
    let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
    close(descriptor)
    guard written == bytes.count, rename(temporary, configurationFile) == 0 else {
      throw InternalBrokerError(description: "can't write \(configurationFile): \(String(cString: strerror(errno)))")
    }
  }

  static func executable(_ name: String) -> String? {
    if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
    return ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"].map { "\($0)/\(name)" }
      .first { access($0, X_OK) == 0 }
  }
}
