import Core
import Glibc
import SQLite
import Synchronization
import Testing
import YAML

@testable import MetaManager

@Suite(.timeLimit(.minutes(2))) struct MetaManagerTests {
  private static func pod(_ name: String, uid: String = "u1", version: Int, node: String = "edge-1") -> String {
    #"{"kind":"Pod","apiVersion":"v1","metadata":{"name":"\#(name)","namespace":"default","uid":"\#(uid)","resourceVersion":"\#(version)"},"#
      + #""spec":{"nodeName":"\#(node)","containers":[]},"unknown":{"kept":1.50}}"#
  }

  private static func status(_ name: String, uid: String = "u1", _ phase: String) -> [UInt8] {
    Array(#"{"metadata":{"uid":"\#(uid)"},"status":{"phase":"\#(phase)"}}"#.utf8)
  }

  @Test func storesThenAcknowledgesThenTells() async throws {
    try await withScratch { path in
      let hub = try FakeHub()
      try await hub.run(path) { client async throws -> Void in
        let watch = try client.watch("pod")
        let pushed = try await hub.push(.update, "default/pod/web", Self.pod("web", version: 5))
        let ack = try await hub.next { $0.parentID == pushed.id }
        #expect(ack.operation == .response && ack.content == Array("\"OK\"".utf8) && ack.resource == "default/pod/web")
        #expect(ack.route.source == "edgecontroller" && ack.route.group == "resource")
        // It is in the file before the acknowledgement goes.
        let stored = try Connection(path: path).first("SELECT value FROM meta WHERE key = 'default/pod/web'") { $0.text(0) }
        #expect(stored == Self.pod("web", version: 5))
        var changes = watch.makeAsyncIterator()
        #expect(await changes.next()?.object == Array(Self.pod("web", version: 5).utf8))

        // Repeated, and older ones: acknowledged, but nothing new.
        for version in [5, 4] {
          let again = try await hub.push(.update, "default/pod/web", Self.pod("web", version: version))
          _ = try await hub.next { $0.parentID == again.id }
        }
        let removal = try await hub.push(.delete, "default/pod/web", #"{"metadata":{"name":"web","namespace":"default","uid":"u1"}}"#)
        _ = try await hub.next { $0.parentID == removal.id }
        #expect(await changes.next()?.kind == .removed)
        #expect(try await client.list("pod").isEmpty)
        watch.end()
      }
    }
  }

  @Test func aDeletionThatComesTooLateIsNone() async throws {
    @Sendable func device(_ uid: String, _ version: Int) -> String {
      #"{"kind":"Device","metadata":{"name":"d","namespace":"default","uid":"\#(uid)","resourceVersion":"\#(version)"}}"#
    }
    try await withScratch { path in
      let hub = try FakeHub()
      try await hub.run(path) { client async throws -> Void in
        let watch = try client.watch("device")
        _ = try await hub.push(.insert, "default/device/d", device("new", 8))
        let late = try await hub.push(.delete, "default/device/d", #"{"metadata":{"name":"d","namespace":"default","uid":"old"}}"#)
        _ = try await hub.next { $0.parentID == late.id }
        _ = try await hub.push(.update, "default/device/d", device("new", 9))
        var changes = watch.makeAsyncIterator()
        for version in [8, 9] {
          let change = await changes.next()
          #expect(change?.kind == .stored && change?.object == Array(device("new", version).utf8))
        }
        watch.end()
      }
    }
  }

  @Test func whatMeansNothingIsAcknowledgedAndHarmsNoOther() async throws {
    try await withScratch { path in
      let hub = try FakeHub()
      try await hub.run(path) { client async throws -> Void in
        let bad = [
          try await hub.push(.update, "default/pod/web", "\"no object\""), try await hub.push(.update, "default/pod/web", "[1]"),
          try await hub.push(.update, "nonsense", "{}"), try await hub.push("frobnicate", "default/pod/web", Self.pod("web", version: 1)),
          try await hub.push(.insert, "default/pod/other", Self.pod("other", version: 2, node: "edge-2")),
          try await hub.push(.delete, "default/pod/never", #"{"metadata":{"name":"never","uid":"u9"}}"#),
          try await hub.push(.update, "default/configmap/c", #"{"metadata":{"resourceVersion":"x"}}"#, source: "somebody"),
        ]
        let good = try await hub.push(.insert, "default/pod/web", Self.pod("web", version: 3))
        _ = try await hub.next { $0.parentID == good.id }
        #expect(Set(hub.messages.map(\.parentID)) == Set((bad + [good]).map(\.id)))
        #expect(try await client.list("pod").map(\.key.name) == ["web"])
        // An answer to nothing is only counted.
        try await hub.push(.response, "default/podpatch/web", "{}", parent: "nobody")
        // A late one that brings an object is kept and acknowledged: the cloud would repeat it.
        let late = try await hub.push(
          .response, "default/secret/s", #"{"kind":"Secret","metadata":{"name":"s","uid":"u5","resourceVersion":"7"}}"#, parent: "gone")
        _ = try await hub.next { $0.parentID == late.id }
        #expect(try await client.list("secret").count == 1)
      }
    }
  }

  @Test func readsFromTheStoreFirstAndFromTheCloudWhatIsNotThere() async throws {
    try await withScratch { path in
      let configMap = #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"app","uid":"u2","resourceVersion":"7"},"data":{"a":"1"}}"#
      let isOffline = Mutex(false)
      let hub = try FakeHub { request in
        if isOffline.withLock({ $0 }) { return FakeHub.offline }
        return switch request.resource {
        case "default/configmap/app": Array(configMap.utf8)
        case "default/configmap/none":
          Array(
            #"{"ErrStatus":{"metadata":{},"status":"Failure","message":"configmap \"none\" not found","reason":"NotFound","code":404}}"#
              .utf8)
        case "default/configmap/odd": Array("{}".utf8)
        default: nil
        }
      }
      let key = ObjectKey(namespace: "default", type: "configmap", name: "app")
      try await hub.run(path, timeout: 1) { client async throws -> Void in
        #expect(try await client.get(key) == Array(configMap.utf8))
        // Delivered reliably, so it is acknowledged.
        _ = try await hub.next { $0.operation == .response && $0.resource == key.resource }
        let asked = hub.messages.count
        #expect(try await client.get(key) == Array(configMap.utf8))
        #expect(hub.messages.count == asked, "the second answer came from the store")
        let missing = await #expect(throws: MetadataError.self) {
          try await client.get(ObjectKey(namespace: "default", type: "configmap", name: "none"))
        }
        #expect(missing?.kind == .notFound && missing?.message == "configmap \"none\" not found")
        let odd = await #expect(throws: MetadataError.self) {
          try await client.get(ObjectKey(namespace: "default", type: "configmap", name: "odd"))
        }
        #expect(odd?.kind == .refused)
        #expect(try await client.list("configmap").count == 1, "errors are not stored as objects")
        let mute = await #expect(throws: MetadataError.self) {
          try await client.get(ObjectKey(namespace: "default", type: "configmap", name: "mute"))
        }
        #expect(mute?.kind == .timeout)
        isOffline.withLock { $0 = true }
        #expect(try await client.get(key) == Array(configMap.utf8))
        let offline = await #expect(throws: MetadataError.self) {
          try await client.get(ObjectKey(namespace: "default", type: "secret", name: "s"))
        }
        #expect(offline?.kind == .offline)
      }
      // And after a restart without a cloud.
      try await hub.run(path) { client async throws -> Void in #expect(try await client.get(key) == Array(configMap.utf8)) }
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/4441")) func tokensAreKeptWhileTheyAreFreshAndUsedWhenTheCloudIsAway()
    async throws
  {
    try await withScratch { path in
      let mode = Mutex("fresh")
      let served = Mutex(0)
      let hub = try FakeHub { _ in
        let mode = mode.withLock { $0 }
        if mode == "offline" { return FakeHub.offline }
        let number = served.withLock { number in
          number += 1
          return number
        }
        let end = mode == "fresh" ? "2099-01-01T00:00:00Z" : "2020-01-01T00:00:00Z"
        return Array(
          #"{"kind":"TokenRequest","spec":{"audiences":["api"],"expirationSeconds":3600000000},"status":{"token":"t\#(number)","expirationTimestamp":"\#(end)"}}"#
            .utf8)
      }
      let request = Array(
        #"{"spec":{"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"u1"}}}"#.utf8)
      @Sendable func token(_ client: MetadataClient) async throws -> String? {
        try JSONValue(json: try await client.token(namespace: "default", serviceAccount: "sa", tokenRequest: request))["status"]?["token"]?
          .string
      }
      try await hub.run(path) { client async throws -> Void in
        mode.withLock { $0 = "old" }
        #expect(try await token(client) == "t1")
        #expect(try await token(client) == "t2", "one that has ended is asked for again")
        mode.withLock { $0 = "offline" }
        #expect(try await token(client) == "t2", "an old one is better than none")
      }
      let key = try Connection(path: path).first("SELECT key FROM meta WHERE type = 'serviceaccounttoken'") { $0.text(0) }
      #expect(
        key == #""sa"/"default"/[]string(nil)/3607/v1.BoundObjectReference{Kind:"Pod", APIVersion:"v1", Name:"p", UID:"u1"}"#)
      // With the pod go its tokens.
      try await hub.run(path) { client async throws -> Void in
        let removal = try await hub.push(.delete, "default/pod/p", #"{"metadata":{"name":"p","uid":"u1"}}"#)
        _ = try await hub.next { $0.parentID == removal.id }
        #expect(try await client.list("serviceaccounttoken").isEmpty)
      }
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/6615")) func whatIsOwedArrivesInOrderAfterRestartAndReconnect() async throws {
    try await withScratch { path in
      let offline = try FakeHub { _ in FakeHub.offline }
      try await offline.run(path) { client async throws -> Void in
        try await client.owe(event: Array("{}".utf8), namespace: "default", name: "e1", isNew: true)
        for phase in ["Pending", "Running", "Failed"] {
          try await client.owe(podPatch: Self.status("web", phase), namespace: "default", name: "web")
        }
        try await client.owe(
          podDeletion: Array(#"{"gracePeriodSeconds":0,"preconditions":{"uid":"u1"}}"#.utf8), namespace: "default", name: "web")
        try await client.owe(podPatch: Self.status("db", uid: "u2", "Running"), namespace: "default", name: "db")
        #expect(try await client.list("podpatch").count == 2)
      }
      #expect(offline.messages.isEmpty)

      let online = try FakeHub { request in
        switch request.resource {
        case "default/podpatch/web": Array(#"{"Object":\#(Self.pod("web", version: 30)),"Err":null}"#.utf8)
        case "default/pod/web": Array("\"OK\"".utf8)
        // Gone in the cloud meanwhile: nobody wants to hear of it.
        default:
          Array(
            #"{"Object":null,"Err":{"ErrStatus":{"status":"Failure","message":"pods \"db\" not found","reason":"NotFound","code":404}}}"#
              .utf8)
        }
      }
      try await online.run(path) { client async throws -> Void in
        try await online.channel.send(CloudConnection.connected.message, to: .metaManager)
        let deletion = try await online.next { $0.operation == .delete }
        #expect(deletion.payload == Array(#"{"gracePeriodSeconds":0,"preconditions":{"uid":"u1"}}"#.utf8))
        let web = online.messages.filter { $0.resource.hasSuffix("/web") }
        #expect(web.map(\.operation) == [.patch, .delete])
        // A string that holds the patch, as the cloud wants it.
        #expect(try web.first?.decodeContent(JSONValue.self)["status"]?["phase"]?.string == "Failed")
        #expect(web.first?.content.first == UInt8(ascii: "\""))
        // What the cloud answered with is the pod as it is now.
        try await eventually {
          try await client.list("pod").map { String(decoding: $0.object, as: UTF8.self) } == [Self.pod("web", version: 30)]
        }
        try await eventually { online.messages.contains { $0.resource == "default/event/e1" } }
        #expect(online.messages.last?.resource == "default/event/e1", "events wait for all else")
        try await eventually { try await Self.owed(online.channel) == 0 }
      }
      #expect(try Connection(path: path).first("SELECT count(*) FROM owed") { $0.integer(0) } == 0)
    }
  }

  private static func owed(_ channel: ChannelContext) async throws -> Int64? {
    let question = Message(route: .init(source: "test", operation: .query, resource: "null/store/state"))
    return try JSONValue(json: try await channel.request(question, to: .metaManager).content)["owed"]?.int
  }

  @Test func aStoreThatIsDamagedWhileItRunsIsMadeAnew() async throws {
    try await withScratch { path in
      let hub = try FakeHub()
      try await hub.run(path) { client async throws -> Void in
        for number in 0..<300 {
          try await hub.push(
            .update, "default/configmap/c\(number)", #"{"metadata":{"name":"c","uid":"u\#(number)","resourceVersion":"1"}}"#)
        }
        let last = try await hub.push(.update, "default/configmap/last", #"{"metadata":{"name":"last","uid":"l","resourceVersion":"1"}}"#)
        _ = try await hub.next { $0.parentID == last.id }
      }
      let damaged = try Connection(path: path)
      try damaged.execute("PRAGMA wal_checkpoint(TRUNCATE)")
      let file = open(path, O_RDWR)
      for page in 1..<6 { pwrite(file, [UInt8](repeating: 0x5A, count: 4096), 4096, off_t(page * 4096)) }
      close(file)
      try await hub.run(path) { client async throws -> Void in
        let pushed = try await hub.push(.update, "default/configmap/c1", #"{"metadata":{"name":"c","uid":"u1","resourceVersion":"2"}}"#)
        _ = try await hub.next { $0.parentID == pushed.id }
        #expect(try await client.list("configmap").count == 1)
        let question = Message(route: .init(source: "test", operation: .query, resource: "null/store/state"))
        #expect(try await hub.channel.request(question, to: .metaManager).decodeContent(JSONValue.self)["rebuilt"]?.bool == true)
      }
    }
  }

  @Test func secretsAreMaskedForPeople() async throws {
    try await withScratch { path in
      let hub = try FakeHub()
      try await hub.run(path) { _ async throws -> Void in
        let pushed = try await hub.push(
          .update, "default/secret/s",
          #"{"kind":"Secret","metadata":{"name":"s","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"aHVudGVyMg=="}},"data":{"password":"aHVudGVyMg=="}}"#
        )
        _ = try await hub.next { $0.parentID == pushed.id }
        let question = Message(
          route: .init(source: "test", operation: .query, resource: "null/store/row"), content: Array("\"default/secret/s\"".utf8))
        let shown = String(decoding: try await hub.channel.request(question, to: .metaManager).content, as: UTF8.self)
        #expect(shown.contains("password") && !shown.contains("aHVudGVyMg"))
      }
    }
  }
}

/// Waits until a condition holds.
func eventually(_ condition: () async throws -> Bool) async throws {
  let end = ContinuousClock.now + .seconds(30)
  while try await !condition() {
    guard ContinuousClock.now < end else {
      Issue.record("it didn't come to be")
      return
    }
    try await Task.sleep(for: .milliseconds(10))
  }
}
