import Core
import Curl
import Synchronization
import Testing
import YAML

@testable import ServiceBus

@Suite struct LocalRequestTests {
  @Test func aRequestGoesToTheCloudAndItsAnswerBack() async throws {
    try await withBus(cloud: { .reply(to: $0, content: JSONValue.string("ordered \"7\" <ä>\n").jsonBytes()) }) { bus in
      try await bus.allow()
      for (method, path) in [("POST", "/"), ("PUT", "/any/path%2F?x=1"), ("GET", "/x"), ("DELETE", "//")] {
        let reply = try await bus.post(TestBus.request(), method: method, path: path)
        #expect(reply.status == 200)
        #expect(reply.code == 200)
        #expect(reply.message == "receive response from cloud successfully")
        #expect(reply.body == "ordered \"7\" <ä>\n")
      }
      let message = try #require(bus.sent.withLock { $0.first })
      #expect(message.route == .init(source: "servicebus", group: "user", operation: .upload, resource: TestBus.url))
      // The body as it came, in base64: what the rule's target gets, too.
      #expect(try JSONValue(json: message.content).string.flatMap { Base64.decode($0.utf8) } == Array(TestBus.request().utf8))
    }
  }

  @Test func whatTheCloudSaysNeedBeNoText() async throws {
    try await withBus(cloud: { .reply(to: $0, content: Array("{\"a\": [1]}".utf8)) }) { bus in
      try await bus.allow()
      #expect(try await bus.post(TestBus.request()).body == "{\"a\": [1]}")
    }
  }

  @Test(arguments: [
    "", "no JSON", "[]", "7", "\"text\"", "{\"targetURL\":7}", "{\"targetURL\":\"\(TestBus.url)\",\"method\":7}", "{\"targetURL\":\"x\"",
    "{\"targetURL\":\"x\"} more",
  ])
  func whatIsNoRequestIsToldSo(_ body: String) async throws {
    try await withBus { bus in
      try await bus.allow()
      let reply = try await bus.post(body)
      #expect(reply == .init(status: 200, code: 400, message: "invalid params", body: "", text: reply.text))
      #expect(bus.sent.withLock { $0.isEmpty })
    }
  }

  @Test func onlyURLsOfRulesAreAskedFor() async throws {
    try await withBus { bus in
      try await bus.allow()
      for url in ["http://other/", TestBus.url + "/", TestBus.url.uppercased(), ""] {
        let reply = try await bus.post(TestBus.request(url))
        #expect(reply.status == 200)
        #expect(reply.code == 400)
        #expect(reply.message == "url \(url) is not allowed and please make a rule for this url in the cloud")
      }
      #expect(bus.sent.withLock { $0.isEmpty })
      #expect(try await bus.post("{\"TARGETurl\":\"\(TestBus.url)\",\"method\":null}").code == 200)
    }
  }

  @Test func aBodyMayHaveFiveMillionBytes() async throws {
    try await withBus { bus in
      try await bus.allow()
      let frame = TestBus.request(payload: "\"\"").utf8.count
      let longest = TestBus.request(payload: "\"\(String(repeating: "x", count: 5_000_000 - frame))\"")
      #expect(longest.utf8.count == 5_000_000)
      #expect(try await bus.post(longest).code == 200)
      let reply = try await bus.post(longest + " ")
      #expect(reply.status == 200)
      #expect(reply.code == 400)
      #expect(reply.message == "can't read data from body of the http's request")
      #expect(bus.sent.withLock { $0.count } == 1)
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  @Test func theCloudMayTakeItsTimeButNotForEver() async throws {
    try await withBus({ configuration, _ in configuration.timeout = 1 }, cloud: { _ in nil }) { bus in
      try await bus.allow()
      let reply = try await bus.post(TestBus.request())
      #expect(reply.status == 200)
      #expect(reply.code == 400)
      let id = try #require(bus.sent.withLock { $0.first?.id })
      #expect(reply.message == "timeout to get response for message \(id)")
    }
  }

  @Test func whileTheCloudIsAwayItIsToldAtOnce() async throws {
    let refuse: @Sendable (Message) -> Message = {
      .reply(to: $0, operation: .error, content: MetadataError(.offline, "the connection ended").content)
    }
    try await withBus({ configuration, _ in configuration.timeout = 3600 }, cloud: refuse) { bus in
      try await bus.allow()
      let reply = try await bus.post(TestBus.request())
      #expect(reply.status == 200)
      #expect(reply.code == 400)
      #expect(reply.message == "the cloud is away: the connection ended")
    }
    try await withBus(hasHub: false) { bus in
      try await bus.allow()
      let reply = try await bus.post(TestBus.request())
      #expect(reply.code == 400)
      #expect(reply.message?.hasPrefix("the cloud is away") == true)
    }
  }

  @Test func tooManyRequestsAreRefusedAndTheOthersAreNot() async throws {
    let (gate, open) = AsyncStream<Void>.makeStream()
    let opened = Mutex(false)
    try await withBus(
      { _, limits in limits.requests = 4 },
      cloud: { request in
        if !opened.withLock({ $0 }) { for await _ in gate {} }
        return echo(request)
      }
    ) { bus in
      try await bus.allow()
      try await withThrowingTaskGroup(of: Int64?.self) { tasks in
        for _ in 0..<4 { tasks.addTask { try await bus.post(TestBus.request()).code } }
        while bus.sent.withLock({ $0.count }) < 4 { try await Task.sleep(for: .milliseconds(5)) }
        let refused = try await bus.post(TestBus.request())
        #expect(refused.status == 200)
        #expect(refused.code == 503)
        opened.withLock { $0 = true }
        open.finish()
        for try await code in tasks { #expect(code == 200) }
      }
      #expect(try await bus.post(TestBus.request()).code == 200)
    }
  }

  @Test func bodiesThatWaitAreBounded() async throws {
    let (gate, open) = AsyncStream<Void>.makeStream()
    try await withBus(
      { _, limits in limits.requestBytes = 1000 },
      cloud: { request in
        for await _ in gate {}
        return echo(request)
      }
    ) { bus in
      try await bus.allow()
      let text = TestBus.request(payload: "\"\(String(repeating: "x", count: 600))\"")
      async let first = bus.post(text)
      while bus.sent.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
      let second = try await bus.post(text)
      #expect(second.status == 200)
      #expect(second.code == 503)
      open.finish()
      #expect(try await first.code == 200)
      #expect(try await bus.post(text).code == 200)
    }
  }

  @Test func webPagesAreRefused() async throws {
    try await withBus { bus in
      try await bus.allow()
      for (name, value) in [
        ("Origin", "http://evil.example"), ("Origin", "null"), ("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Site", "same-origin"),
        ("Host", "evil.example"), ("Host", "evil.example:9060"), ("Host", "localhost.evil.example"), ("Host", ""),
      ] {
        let reply = try await bus.post(TestBus.request(), headers: [HTTPField(name, value)])
        #expect(reply.status == 403, "\(name): \(value)")
        let large = try await bus.post([UInt8](repeating: 32, count: 5_000_001), headers: [HTTPField(name, value)])
        #expect(large.status == 403, "\(name): \(value)")
      }
      #expect(bus.sent.withLock { $0.isEmpty })
      for (name, value) in [
        ("Sec-Fetch-Site", "none"), ("Host", "localhost:9060"), ("Host", "edge-1"), ("Host", "EDGE-1:9060"), ("Host", "[::1]:9060"),
        ("Host", "10.0.0.7"),
      ] {
        #expect(try await bus.post(TestBus.request(), headers: [HTTPField(name, value)]).code == 200, "\(name): \(value)")
      }
      #expect(
        try await bus.raw("POST / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
          .hasPrefix("HTTP/1.1 400"))
    }
  }

  @Test func otherHostsAreServedIfTheAddressIsForThem() {
    var configuration = ServiceBusConfiguration()
    let remote = request(address: "10.0.0.9", isOnThisHost: false)
    #expect(LocalAccess(configuration, nodeName: "edge-1").refusal(of: remote)?.status == 403)
    configuration.server = "localhost"
    #expect(LocalAccess(configuration, nodeName: "edge-1").refusal(of: remote)?.status == 403)
    configuration.server = "0.0.0.0"
    #expect(LocalAccess(configuration, nodeName: "edge-1").refusal(of: remote) == nil)
    #expect(
      LocalAccess(configuration, nodeName: "edge-1").refusal(of: request(host: "gateway.example", isOnThisHost: false))?.status == 403)
    // A certificate names those that the listener goes by.
    configuration.tlsCertFile = "/tls.crt"
    #expect(LocalAccess(configuration, nodeName: "edge-1").refusal(of: request(host: "gateway.example", isOnThisHost: false)) == nil)
  }
}
