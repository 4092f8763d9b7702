import Glibc
import Synchronization

public struct TestBrokerError: Error, CustomStringConvertible {
  public var description: String
  public init(description: String) { self.description = description }
}

/// A real Mosquitto of a test: its own port, its own configuration, gone with the test.
public final class TestBroker: Sendable {
  public let port: Int
  public let folder: String
  private let child = Mutex<pid_t>(0)

  /// - Parameter lines: of the configuration; the listener's port stands where `PORT` is, the folder where `FOLDER` is.
  public init(_ lines: [String] = TestBroker.open, files: [String: String] = [:]) async throws {
    var template = Array("/tmp/mqtt-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw TestBrokerError(description: "no folder") }
    folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    port = try Self.freePort()
    for (name, text) in files { try write(name, text) }
    try configure(lines)
  }

  public static let open = [
    "listener PORT 127.0.0.1", "allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 0", "log_dest none",
  ]

  deinit {
    kill(SIGKILL)
    Self.removeTree(folder)
  }

  public func write(_ name: String, _ text: String) throws {
    guard let file = fopen("\(folder)/\(name)", "w") else { throw TestBrokerError(description: "can't write \(name)") }
    fputs(text, file)
    fclose(file)
    chmod("\(folder)/\(name)", 0o600)
  }

  public func configure(_ lines: [String]) throws {
    let text = (lines + (geteuid() == 0 ? ["user root"] : [])).joined(separator: "\n") + "\n"
    try write("mosquitto.conf", Self.replace("FOLDER", folder, in: Self.replace("PORT", "\(port)", in: text)))
  }

  private static func replace(_ word: String, _ value: String, in text: String) -> String {
    var result = ""
    var rest = Substring(text)
    while let range = rest.firstRange(of: word) {
      result += rest[..<range.lowerBound] + value
      rest = rest[range.upperBound...]
    }
    return result + rest
  }

  /// Starts it, and waits until it listens.
  public func start() async throws {
    let pid = try Self.spawn(["/usr/sbin/mosquitto", "-c", "\(folder)/mosquitto.conf"])
    child.withLock { $0 = pid }
    for _ in 0..<1000 {
      if Self.listens(port) { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw TestBrokerError(description: "mosquitto doesn't listen on \(port)")
  }

  /// Ends it with a signal, and waits for that.
  public func kill(_ signal: Int32) {
    let pid = child.withLock { child in
      defer { child = 0 }
      return child
    }
    guard pid > 0 else { return }
    Glibc.kill(pid, signal)
    if signal != SIGKILL { Glibc.kill(pid, SIGCONT) }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }

  /// Stops it without ending it: a broker that hangs.
  public func freeze() { Glibc.kill(child.withLock { $0 }, SIGSTOP) }
  public func thaw() { Glibc.kill(child.withLock { $0 }, SIGCONT) }

  public static func spawn(_ arguments: [String]) throws -> pid_t {
    var pid: pid_t = 0
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
    let words = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    let code = posix_spawnp(&pid, arguments[0], &actions, &attributes, words, environ)
    guard code == 0 else { throw TestBrokerError(description: "can't run \(arguments[0]): \(String(cString: strerror(code)))") }
    return pid
  }

  /// Runs a program to its end.
  public static func run(_ arguments: String...) throws {
    let pid = try spawn(arguments)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    guard status == 0 else { throw TestBrokerError(description: "\(arguments) ended with \(status)") }
  }

  public static func freePort() throws -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard bound else { throw TestBrokerError(description: "no free port") }
    return Int(UInt16(bigEndian: address.sin_port))
  }

  public static func listens(_ port: Int) -> Bool {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
    }
  }

  public static func removeTree(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { removeTree("\(path)/\(name)") }
      }
      closedir(directory)
      rmdir(path)
    } else {
      unlink(path)
    }
  }

  /// Threads of this process with that name.
  public static func threads(named name: String) -> Int {
    guard let directory = opendir("/proc/self/task") else { return 0 }
    defer { closedir(directory) }
    var count = 0
    while let entry = readdir(directory) {
      let id = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      guard let file = fopen("/proc/self/task/\(id)/comm", "r") else { continue }
      defer { fclose(file) }
      var line = [CChar](repeating: 0, count: 64)
      guard fgets(&line, 64, file) != nil else { continue }
      if String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) == name { count += 1 }
    }
    return count
  }
}

/// A certificate authority of OpenSSL's command, and what it has signed, in the folder of a test.
public struct TestCertificates: Sendable {
  public let folder: String
  public func file(_ name: String) -> String { "\(folder)/\(name)" }

  /// Makes `ca.crt`, and for each name `NAME.crt` and `NAME.key`, valid for 127.0.0.1.
  public init(folder: String, names: [String]) throws {
    self.folder = folder
    try TestBroker.run(
      "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test", "-keyout", "\(folder)/ca.key", "-out",
      "\(folder)/ca.crt")
    guard let file = fopen("\(folder)/san", "w") else { throw TestBrokerError(description: "can't write") }
    fputs("subjectAltName=IP:127.0.0.1,DNS:localhost\n", file)
    fclose(file)
    for name in names {
      try TestBroker.run(
        "openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=\(name)", "-keyout", "\(folder)/\(name).key", "-out",
        "\(folder)/\(name).csr")
      try TestBroker.run(
        "openssl", "x509", "-req", "-in", "\(folder)/\(name).csr", "-CA", "\(folder)/ca.crt", "-CAkey", "\(folder)/ca.key",
        "-CAcreateserial",
        "-days", "2", "-extfile", "\(folder)/san", "-out", "\(folder)/\(name).crt")
    }
  }
}
