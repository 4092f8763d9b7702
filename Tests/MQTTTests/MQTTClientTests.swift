import Glibc
import Synchronization
import TestBroker
import Testing

@testable import MQTT

@Suite(.timeLimit(.minutes(3))) struct MQTTClientTests {
  private func broker(_ lines: [String] = TestBroker.open, files: [String: String] = [:]) async throws -> TestBroker {
    let broker = try await TestBroker(lines, files: files)
    try await broker.start()
    return broker
  }

  @Test(arguments: 0...2) func `messages go there and come back`(qos: Int) async throws {
    let broker = try await broker()
    let client = try TestClient(broker.port)
    client.client.subscribe(["a/+"])
    try client.client.start()
    try await client.connected()
    let other = try TestClient(broker.port)
    try other.client.start()
    for number in 0..<300 { client.publish("a/b", "\(number)", qos: qos) }
    #expect(try await client.receive(300).map(\.text) == (0..<300).map(String.init))
    await other.client.stop()
    await client.client.stop()
    #expect(await client.client.messages() == nil)
  }

  @Test func `payloads of any bytes and of ten megabytes arrive whole`() async throws {
    let broker = try await broker()
    let client = try TestClient(broker.port)
    client.client.subscribe(["big", "binary", "empty"])
    try client.client.start()
    try await client.connected()
    let binary = (0..<1024).map { UInt8(truncatingIfNeeded: $0) }
    let big = [UInt8](repeating: 0xAB, count: 5_000_000) + [UInt8](repeating: 0, count: 5_000_000)
    client.client.publish(.init(topic: "binary", payload: binary, qos: 1))
    client.client.publish(.init(topic: "big", payload: big, qos: 1))
    client.client.publish(.init(topic: "empty", payload: [], qos: 1))
    let messages = try await client.receive(3)
    #expect(messages.map(\.topic) == ["binary", "big", "empty"])
    #expect(messages[0].payload == binary)
    #expect(messages[1].payload == big)
    #expect(messages[2].payload == [])
    await client.client.stop()
  }

  @Test func `what is retained comes to those who subscribe later`() async throws {
    let broker = try await broker()
    let first = try TestClient(broker.port)
    try first.client.start()
    try await first.connected()
    first.publish("state", "on", isRetained: true)
    await first.client.stop()
    let second = try TestClient(broker.port)
    second.client.subscribe(["state"])
    try second.client.start()
    let message = try #require(await second.receive(1).first)
    #expect(message.text == "on" && message.isRetained)
    await second.client.stop()
  }

  @Test func `a broker that comes later is found, and what waited is published`() async throws {
    let broker = try await TestBroker()
    let client = try TestClient(broker.port)
    client.client.subscribe(["a"])
    try client.client.start()
    client.publish("a", "early")
    try await client.waitForEvent("failure") { if case .connectFailed = $0 { true } else { false } }
    #expect(client.client.waiting == 1)
    try await broker.start()
    #expect(try await client.receive(1).first?.text == "early")
    await client.client.stop()
  }

  @Test func `a broker that is killed again and again gets everything again`() async throws {
    let broker = try await broker()
    let client = try TestClient(broker.port)
    client.client.subscribe(["a"])
    try client.client.start()
    for round in 1...3 {
      try await client.connected(times: round)
      client.publish("a", "\(round)")
      #expect(try await client.receive(1).first?.text == "\(round)")
      broker.kill(SIGKILL)
      try await client.wait("disconnection") { !client.client.isConnected }
      try await broker.start()
    }
    await client.client.stop()
  }

  @Test func `a session outlives its client, and topics that were left are forgotten`() async throws {
    let broker = try await broker()
    let options: (inout MQTTOptions) -> Void = { $0.keepsSession = true }
    let first = try TestClient(broker.port, id: "node", adjust: options)
    first.client.subscribe(["kept", "left"])
    try first.client.start()
    try await first.connected()
    first.publish("kept", "0")
    _ = try await first.receive(1)
    await first.client.stop()

    let other = try TestClient(broker.port)
    try other.client.start()
    try await other.connected()
    for number in 1...500 { other.publish("kept", "\(number)") }
    await other.client.stop()

    let second = try TestClient(broker.port, id: "node", adjust: options)
    second.client.subscribe(["kept"], leaving: ["left"])
    try second.client.start()
    #expect(try await second.receive(500).map(\.text) == (1...500).map(String.init))
    #expect(second.events.first == .connected(sessionPresent: true))
    try await second.waitForEvent("unsubscription") { $0 == .unsubscribed(filter: "left") }
    second.publish("left", "nobody hears it")
    second.publish("kept", "end")
    #expect(try await second.receive(1).map(\.text) == ["end"])
    await second.client.stop()
  }

  @Test func `a wrong password is told, and the right one is taken`() async throws {
    let broker = try await TestBroker(["listener PORT 127.0.0.1", "password_file FOLDER/passwords", "log_dest none"])
    try broker.write("passwords", "")
    try TestBroker.run("mosquitto_passwd", "-b", "\(broker.folder)/passwords", "node", "right")
    try await broker.start()
    let wrong = try TestClient(broker.port) {
      $0.user = "node"
      $0.password = "wrong"
    }
    try wrong.client.start()
    try await wrong.waitForEvent("refusal") { event in
      if case .connectFailed(let reason) = event { reason.contains("refuses") && !reason.contains("wrong") } else { false }
    }
    await wrong.client.stop()
    let right = try TestClient(broker.port) {
      $0.user = "node"
      $0.password = "right"
    }
    try right.client.start()
    try await right.connected()
    await right.client.stop()
  }

  @Test func `TLS with certificates on both sides`() async throws {
    let broker = try await TestBroker([
      "listener PORT 127.0.0.1", "allow_anonymous true", "cafile FOLDER/ca.crt", "certfile FOLDER/broker.crt", "keyfile FOLDER/broker.key",
      "require_certificate true", "log_dest none",
    ])
    let certificates = try TestCertificates(folder: broker.folder, names: ["broker", "node"])
    try await broker.start()
    let client = try TestClient(broker.port) {
      $0.security = .init(
        caFile: certificates.file("ca.crt"), certificateFile: certificates.file("node.crt"), keyFile: certificates.file("node.key"))
    }
    client.client.subscribe(["a"])
    try client.client.start()
    try await client.connected()
    let big = [UInt8](repeating: 65, count: 3_000_000)
    for number in 0..<100 { client.publish("a", "\(number)") }
    client.client.publish(.init(topic: "a", payload: big, qos: 1))
    let messages = try await client.receive(101)
    #expect(messages.dropLast().map(\.text) == (0..<100).map(String.init))
    #expect(messages.last?.payload == big)
    await client.client.stop()

    // Without a certificate of its own, and with one that nobody vouches for.
    let nobody = try TestClient(broker.port) { $0.security = .init(caFile: certificates.file("ca.crt")) }
    try nobody.client.start()
    try await nobody.waitForEvent("failure") { if case .connectFailed = $0 { true } else { false } }
    #expect(!nobody.client.isConnected)
    await nobody.client.stop()
    let stranger = try TestClient(broker.port) {
      $0.security = .init(
        caFile: "/etc/ssl/certs/ca-certificates.crt", certificateFile: certificates.file("node.crt"), keyFile: certificates.file("node.key")
      )
    }
    try stranger.client.start()
    try await stranger.waitForEvent("failure") { event in
      if case .connectFailed(let reason) = event { reason.contains("certificate verify failed") } else { false }
    }
    await stranger.client.stop()
    // Encrypted, whoever it is.
    let trusting = try TestClient(broker.port) {
      $0.security = .init(
        caFile: certificates.file("ca.crt"), certificateFile: certificates.file("node.crt"), keyFile: certificates.file("node.key"),
        verifies: false)
    }
    try trusting.client.start()
    try await trusting.connected()
    await trusting.client.stop()
  }

  @Test func `files that are not there are named`() {
    #expect { try TestClient(1) { $0.security = .init(caFile: "/nowhere/ca.crt") } } throws: { "\($0)".contains("/nowhere/ca.crt") }
  }

  @Test func `a storm for a slow taker loses nothing, and holds the broker back`() async throws {
    let broker = try await broker()
    let slow = try TestClient(broker.port) {
      $0.inboxCount = 50
      $0.patience = .seconds(600)
    }
    slow.client.subscribe(["a"])
    try slow.client.start()
    try await slow.connected()
    slow.publish("a", "begin")
    _ = try await slow.receive(1)
    let storm = try TestClient(broker.port) { $0.outboxCount = 20_000 }
    try storm.client.start()
    for number in 0..<5000 { storm.publish("a", "\(number)") }
    var next = 0
    while next < 5000 {
      let batch = try #require(await slow.client.messages(limit: 20))
      for message in batch {
        #expect(message.text == "\(next)")
        next += 1
      }
      if next % 500 < 20 { try await Task.sleep(for: .milliseconds(5)) }
    }
    await storm.client.stop()
    await slow.client.stop()
  }

  @Test func `nobody who takes messages does not cost the connection`() async throws {
    let broker = try await broker()
    let deaf = try TestClient(broker.port) {
      $0.inboxCount = 10
      $0.patience = .milliseconds(50)
    }
    deaf.client.subscribe(["a"])
    try deaf.client.start()
    try await deaf.connected()
    try await Task.sleep(for: .milliseconds(100))
    let storm = try TestClient(broker.port)
    try storm.client.start()
    for number in 0..<2000 { storm.publish("a", "\(number)") }
    try await deaf.waitForEvent("drop") { if case .messagesDropped = $0 { true } else { false } }
    try await deaf.wait("all of it") {
      let dropped = deaf.events.reduce(0) { if case .messagesDropped(let count) = $1 { $0 + count } else { $0 } }
      return dropped == 1990
    }
    #expect(try await deaf.receive(10).map(\.text) == (0..<10).map(String.init))
    storm.publish("a", "end")
    #expect(try await deaf.receive(1).map(\.text) == ["end"])
    #expect(deaf.events.filter { if case .connected = $0 { true } else { false } }.count == 1)
    await storm.client.stop()
    await deaf.client.stop()
  }

  @Test func `while the broker is away the newest publications are kept`() async throws {
    let broker = try await TestBroker()
    let client = try TestClient(broker.port) { $0.outboxCount = 10 }
    client.client.subscribe(["a"])
    try client.client.start()
    for number in 0..<25 { client.publish("a", "\(number)") }
    let dropped = client.events.reduce(0) { if case .publicationsDropped(let count, _) = $1 { $0 + count } else { $0 } }
    #expect(dropped == 15)
    try await broker.start()
    #expect(try await client.receive(10).map(\.text) == (15..<25).map(String.init))
    await client.client.stop()
  }

  @Test func `a broker that hangs holds nobody up`() async throws {
    let broker = try await broker()
    let client = try TestClient(broker.port)
    try client.client.start()
    try await client.connected()
    broker.freeze()
    let began = ContinuousClock.now
    for number in 0..<20_000 { client.publish("a", "\(number)") }
    await client.client.stop(within: .milliseconds(200))
    #expect(ContinuousClock.now - began < .seconds(30))
    broker.thaw()
  }

  @Test func `a refused subscription is told, and the others stay`() async throws {
    let server = try RefusingBroker()
    let client = try TestClient(server.port)
    client.client.subscribe(["one", "refused", "two"])
    try client.client.start()
    try await client.waitForEvent("refusal") { $0 == .refused(filter: "refused") }
    try await client.wait("the others") { server.subscribed == ["one", "refused", "two"] }
    #expect(client.client.isConnected)
    #expect(!client.events.contains(.refused(filter: "one")))
    await client.client.stop()
    server.end()
  }

  @Test func `no thread stays behind`() async throws {
    // Other tests run at the same time: only whether these end matters.
    let broker = try await broker()
    var clients: [TestClient] = []
    for _ in 0..<20 {
      let client = try TestClient(broker.port)
      try client.client.start()
      clients.append(client)
    }
    for client in clients { try await client.connected() }
    #expect(TestBroker.threads(named: "mqtt") >= 20)
    for client in clients { await client.client.stop() }
    for client in clients { #expect(client.client.hasEnded) }
  }
}

/// Takes one connection, and every subscription but those of the topic `refused`.
final class RefusingBroker: Sendable {
  let port: Int
  private let listener: Int32
  private let filters = Mutex<[String]>([])

  init() throws {
    port = try TestBroker.freePort()
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    address.sin_port = UInt16(port).bigEndian
    let isBound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 }
    }
    guard isBound, listen(listener, 1) == 0 else { throw TestBrokerError(description: "can't listen") }
    let thread = Thread { [self] in serve() }
    thread.start()
  }

  var subscribed: [String] { filters.withLock { $0 } }

  func end() { shutdown(listener, Int32(SHUT_RDWR)) }

  private func serve() {
    let connection = accept(listener, nil, nil)
    defer {
      close(connection)
      close(listener)
    }
    func read(_ count: Int) -> [UInt8]? {
      var bytes = [UInt8](repeating: 0, count: count)
      var filled = 0
      while filled < count {
        let got = bytes.withUnsafeMutableBytes { Glibc.read(connection, $0.baseAddress?.advanced(by: filled), count - filled) }
        if got <= 0 { return nil }
        filled += got
      }
      return bytes
    }
    // Short packets only: their length is one byte.
    while let head = read(2), let body = read(Int(head[1])) {
      var answer: [UInt8] = []
      if head[0] == 0x10 { answer = [0x20, 2, 0, 0] }
      if head[0] == 0x82 {
        let filter = String(decoding: body[4..<(4 + Int(body[3]))], as: UTF8.self)
        filters.withLock { $0.append(filter) }
        answer = [0x90, 3, body[0], body[1], filter == "refused" ? 0x80 : 1]
      }
      if head[0] == 0xE0 { return }
      _ = answer.withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
    }
  }
}

/// A thread for a test's server.
struct Thread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let body: Body

  init(_ run: @escaping @Sendable () -> Void) { body = Body(run) }

  func start() {
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(body).toOpaque())
    pthread_detach(thread)
  }
}
