import Core
import Curl
import Glibc
import HTTPServer
import Logging
import NIOPosix
import SQLite
import Synchronization
import Testing
import YAML

@testable import CloudSimulator
@testable import ServiceBus

/// When and how applications are listened to.
@Suite struct ListenerTests {
  private func isRefused(_ bus: TestBus, _ port: Int) async -> Bool {
    do {
      _ = try await bus.client.connect(host: "127.0.0.1", port: port)
      return false
    } catch {
      return true
    }
  }

  @Test func itListensWhileThereIsARule() async throws {
    try await withBus { bus in
      #expect(try await bus.summary { _ in true }.listening == false)
      try await bus.allow()
      try await bus.allow("http://other/")
      let port = try await bus.port()
      try await bus.tell(.stop, "http:/cloud.example/orders")
      try await bus.summary { $0.targetURLs == ["http://other/"] }
      #expect(try await bus.post(TestBus.request()).message?.contains("is not allowed") == true)
      #expect(try await bus.post(TestBus.request("http://other/")).code == 200)
      try await bus.tell(.stop, "http://other/")
      try await bus.summary { !$0.listening }
      #expect(await isRefused(bus, port))
      // Ending twice what is no more does no harm to what begins.
      try await bus.tell(.stop, "http://other/")
      try await bus.tell(.stop, "http://never/")
      try await bus.allow()
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  @Test func whatIsUnderWayMayEndWhenTheLastRuleGoes() async throws {
    let (gate, open) = AsyncStream<Void>.makeStream()
    try await withBus(cloud: { request in
      for await _ in gate {}
      return echo(request)
    }) { bus in
      try await bus.allow()
      async let reply = bus.post(TestBus.request())
      while bus.sent.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
      try await bus.tell(.stop, TestBus.url)
      try await bus.summary { $0.targetURLs.isEmpty }
      // While it waits, others are told that the rule is gone.
      #expect(try await bus.post(TestBus.request()).message?.contains("is not allowed") == true)
      open.finish()
      #expect(try await reply.code == 200)
      try await bus.summary { !$0.listening }
    }
  }

  @Test func whatHangsDoesNotKeepTheListener() async throws {
    try await withBus({ _, limits in limits.farewell = .milliseconds(50) }, cloud: { _ in nil }) { bus in
      try await bus.allow()
      let request = Task { try await bus.post(TestBus.request()) }
      while bus.sent.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
      try await bus.tell(.stop, TestBus.url)
      try await bus.summary { !$0.listening }
      _ = await request.result
    }
  }

  @Test func rulesOutliveARestart() async throws {
    let folder = try TestBus.makeFolder()
    let first = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    defer { first.removeFolder() }
    try await first.run { bus in
      try await bus.allow()
      try await bus.allow("http://other/ä?x=1")
      try await bus.tell(.start, "http://gone/")
      try await bus.tell(.stop, "http:/gone")
    }
    let second = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    try await second.run { bus in
      let summary = try await bus.summary { $0.listening }
      #expect(summary.targetURLs == [TestBus.url, "http://other/ä?x=1"])
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  @Test func rulesOfKubeEdgesDatabaseAreTakenOver() async throws {
    let folder = try TestBus.makeFolder()
    do {
      let older = try Connection(path: "\(folder)/edgecore.db")
      try older.execute("CREATE TABLE `target_urls` (`url` text,PRIMARY KEY (`url`)); INSERT INTO target_urls VALUES ('\(TestBus.url)');")
    }
    let bus = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    defer { bus.removeFolder() }
    try await bus.run { bus in
      let reply = try await bus.post(TestBus.request())
      #expect(reply.code == 200)
    }
  }

  @Test func aDamagedDatabaseIsSetAside() async throws {
    let folder = try TestBus.makeFolder()
    let file = try #require(fopen("\(folder)/servicebus.db", "w"))
    fputs(String(repeating: "no database ", count: 500), file)
    fclose(file)
    let bus = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    defer { bus.removeFolder() }
    try await bus.run { bus in
      try await bus.allow()
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
    let again = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    try await again.run { bus in try await bus.summary { $0.targetURLs == [TestBus.url] } }
  }

  @Test func withoutADiskRulesCountUntilTheEnd() async throws {
    let folder = try TestBus.makeFolder()
    // A folder stands where the file should be.
    mkdir("\(folder)/servicebus.db", 0o700)
    let bus = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    defer {
      rmdir("\(folder)/servicebus.db")
      bus.removeFolder()
    }
    try await bus.run { bus in
      try await bus.allow()
      #expect(try await bus.post(TestBus.request()).code == 200)
      try await bus.summary { $0.lastError != nil }
      rmdir("\(folder)/servicebus.db")
      // Tried again, it is written.
      while access("\(folder)/servicebus.db", F_OK) != 0 { try await Task.sleep(for: .milliseconds(10)) }
    }
    let again = try TestBus(folder: folder, { _, _ in }, cloud: { echo($0) })
    try await again.run { bus in try await bus.summary { $0.targetURLs == [TestBus.url] } }
  }

  @Test func rulesAreNotWithoutEnd() async throws {
    try await withBus({ _, limits in limits.targets = 3 }) { bus in
      for number in 1...5 { try await bus.tell(.start, "http://host/\(number)") }
      try await bus.tell(.start, "")
      #expect(try await bus.summary { _ in true }.targetURLs == ["http://host/1", "http://host/2", "http://host/3"])
      try await bus.tell(.stop, "http:/host/2")
      try await bus.tell(.start, "http://host/6")
      #expect(try await bus.summary { _ in true }.targetURLs == ["http://host/1", "http://host/3", "http://host/6"])
    }
  }

  @Test func aPortThatIsTakenIsWaitedFor() async throws {
    let other = Mutex<Int32>(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let port = try withUnsafeMutablePointer(to: &address) { pointer in
      try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        let descriptor = other.withLock { $0 }
        guard bind(descriptor, pointer, length) == 0, listen(descriptor, 1) == 0, getsockname(descriptor, pointer, &length) == 0 else {
          throw TestFailure("can't listen")
        }
      }
      return Int32(UInt16(bigEndian: pointer.pointee.sin_port))
    }
    try await withBus({ configuration, _ in configuration.port = port }) { bus in
      try await bus.tell(.start, TestBus.url)
      let error = try await bus.summary { $0.lastError != nil }.lastError
      #expect(error?.contains("127.0.0.1:\(port)") == true)
      #expect(error?.contains("in use") == true)
      close(other.withLock { $0 })
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  // MARK: TLS

  private struct Files: Sendable {
    let folder: String
    let authority: CertificateAuthority

    init(_ folder: String) throws {
      self.folder = folder
      authority = try CertificateAuthority()
      try put("ca", authority.pem)
    }

    func path(_ name: String) -> String { "\(folder)/\(name)" }

    func put(_ name: String, _ text: String) throws {
      let file = try #require(fopen(path(name) + ".new", "w"))
      fputs(text, file)
      fclose(file)
      try #require(rename(path(name) + ".new", path(name)) == 0)
    }

    func putServer() throws {
      let identity = try authority.serverIdentity(addresses: ["127.0.0.1"])
      try put("key", identity.key)
      try put("crt", identity.certificate)
    }

    /// One like that of a node, for clients.
    func putNode() throws {
      let identity = try authority.nodeIdentity("edge-1", life: .seconds(3600))
      try put("key", identity.key)
      try put("crt", identity.certificate)
    }
  }

  private func withTLS(_ body: @escaping @Sendable (TestBus, Files) async throws -> Void) async throws {
    let folder = try TestBus.makeFolder()
    let files = try Files(folder)
    let bus = try TestBus(
      folder: folder,
      { configuration, _ in
        configuration.tlsCertFile = files.path("crt")
        configuration.tlsPrivateKeyFile = files.path("key")
      }, cloud: { echo($0) })
    defer { bus.removeFolder() }
    try await bus.run { try await body($0, files) }
  }

  private func secure(_ bus: TestBus, _ files: Files, host: String? = nil) async throws -> TestBus.Reply {
    let port = try await bus.port()
    return try await bus.post(TestBus.request(), headers: host.map { [HTTPField("Host", $0)] } ?? []) { request in
      request.url = "https://127.0.0.1:\(port)/"
      request.tls.caFile = files.path("ca")
      request.isolatesConnection = true
    }
  }

  @Test func withFilesItIsHTTPSAndNothingElse() async throws {
    try await withTLS { bus, files in
      try files.putServer()
      try await bus.allow()
      #expect(try await bus.summary { _ in true }.encrypted)
      #expect(try await secure(bus, files).code == 200)
      // The certificate says by which names it goes.
      #expect(try await secure(bus, files, host: "gateway.example").code == 200)
      await #expect(throws: HTTPError.self) { try await bus.post(TestBus.request()) }
      let clear = try await bus.raw("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
      #expect(!clear.contains("HTTP/1.1"))
      #expect(bus.sent.withLock { $0.count } == 2)
      #expect(try await secure(bus, files).code == 200)
    }
  }

  @Test(arguments: ["missing", "broken", "for clients", "another's key"])
  func withoutGoodFilesNothingIsServed(_ fault: String) async throws {
    try await withTLS { bus, files in
      switch fault {
      case "broken":
        try files.putServer()
        try files.put("crt", "no certificate")
      case "for clients": try files.putNode()
      case "another's key":
        try files.putServer()
        try files.put("key", try files.authority.serverIdentity(addresses: ["127.0.0.1"]).key)
      default: break
      }
      try await bus.tell(.start, TestBus.url)
      let summary = try await bus.summary { $0.lastError != nil }
      #expect(!summary.listening)
      let word = ["for clients": "serverAuth", "another's key": "don't go together"][fault] ?? "can't be used"
      #expect(summary.lastError?.contains(word) == true, "\(summary.lastError ?? "")")
      #expect(bus.module.status.port == nil)
      // Once they are good, it is served.
      try files.putServer()
      #expect(try await secure(bus, files).code == 200)
    }
  }

  @Test func replacedFilesCountForTheNextConnection() async throws {
    try await withTLS { bus, files in
      try files.putServer()
      try await bus.allow()
      #expect(try await secure(bus, files).code == 200)
      let newer = try CertificateAuthority()
      let identity = try newer.serverIdentity(addresses: ["127.0.0.1"])
      try files.put("key", identity.key)
      try files.put("crt", identity.certificate)
      await #expect(throws: HTTPError.self) { try await secure(bus, files) }
      try files.put("ca", newer.pem)
      #expect(try await secure(bus, files).code == 200)
      // One that is for clients isn't shown.
      let node = try newer.nodeIdentity("edge-1", life: .seconds(3600))
      try files.put("key", node.key)
      try files.put("crt", node.certificate)
      await #expect(throws: HTTPError.self) { try await secure(bus, files) }
      #expect(try await bus.summary { $0.lastError != nil }.lastError?.contains("serverAuth") == true)
    }
  }
}
