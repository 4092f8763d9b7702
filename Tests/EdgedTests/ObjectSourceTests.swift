import Core
import Curl
import FoundationEssentials
import KubernetesAPI
import Logging
import Synchronization
import Testing

@testable import Edged

/// What is fetched, what is remembered, and for whom.
@Suite(.timeLimit(.minutes(2))) struct ObjectSourceTests {
  let test = VolumeTestDirectory()

  private func source(_ store: ObjectTestStore, _ lines: ObjectTestLog.Lines = .init()) -> PodObjectSource {
    PodObjectSource(client: store.client, logger: ObjectTestLog.logger(lines), deadline: .seconds(20))
  }

  private func pod(_ spec: String, uid: String = "u-1") throws -> Pod {
    var pod = try Pod.yaml(spec)
    pod.metadata.uid = uid
    return pod
  }

  private static let references = """
    imagePullSecrets: [{name: pull}]
    containers:
    - name: main
      envFrom: [{configMapRef: {name: c1}}, {prefix: P_, secretRef: {name: s1}}]
    initContainers:
    - name: first
      env: [{name: A, valueFrom: {configMapKeyRef: {name: c2, key: k}}}, {name: B, value: b, valueFrom: {configMapKeyRef: {name: hidden, key: k}}}]
    ephemeralContainers:
    - name: debug
      env: [{name: A, valueFrom: {secretKeyRef: {name: s2, key: k}}}]
    volumes:
    - {name: v1, configMap: {name: c3}}
    - {name: v2, secret: {secretName: s3}}
    - {name: v3, projected: {sources: [{configMap: {name: c4}}, {secret: {name: s4}}, {serviceAccountToken: {path: t, audience: api}}]}}
    - {name: v4, emptyDir: {}}
    """

  @Test func allReferencesOfAPodAreFound() throws {
    let references = PodReferences(try pod(Self.references))
    #expect(references.objects.filter { $0.kind == .configMap }.map(\.name).sorted() == ["c1", "c2", "c3", "c4"])
    #expect(references.objects.filter { $0.kind == .secret }.map(\.name).sorted() == ["pull", "s1", "s2", "s3", "s4"])
    #expect(references.volumeObjects.map(\.name).sorted() == ["c3", "c4", "s3", "s4"])
    let token = try #require(references.tokens.first)
    #expect(references.tokens.count == 1 && token.audiences == ["api"] && token.expirationSeconds == 3600)
    #expect(token.serviceAccount == "default" && token.podUID == "u-1" && token.namespace == "shop")
    #expect(PodReferences(try pod("containers: [{name: main}]")).isEmpty)
  }

  @Test func environmentsComeFromTheStore() async throws {
    try await ObjectTestStore.run { store in
      store.put("shop/configmap/c1", objectConfigMap("c1", #"{"a-b.c":"1"}"#, #","binaryData":{"raw":"/w=="}"#))
      store.put("shop/secret/s1", objectSecret("s1", #"{"k":"czNjcmV0"}"#))
      store.fail("shop/configmap/away", MetadataError(.offline, "the cloud is away"))
      func build(_ container: String) async throws -> [String] {
        let pod = try pod("containers: [{name: main, \(container)}]")
        let objects = try await source(store).objects(of: pod)
        let builder = EnvironmentBuilder(downward: volumeDownward(pod), objects: objects)
        return try builder.build(pod.spec.containers[0]).variables.map { "\($0.name)=\($0.value)" }
      }
      let variables = try await build(
        "envFrom: [{configMapRef: {name: c1}}, {prefix: P_, secretRef: {name: s1}}, {secretRef: {name: absent, optional: true}}]")
      #expect(variables == ["a-b.c=1", "P_k=s3cret"])
      for (container, message) in [
        ("envFrom: [{configMapRef: {name: none}}]", "configmap \"none\" not found"),
        ("env: [{name: A, valueFrom: {configMapKeyRef: {name: c1, key: raw}}}]", "couldn't find key raw in ConfigMap shop/c1"),
        ("env: [{name: A, valueFrom: {secretKeyRef: {name: s1, key: x}}}]", "couldn't find key x in Secret shop/s1"),
        ("envFrom: [{configMapRef: {name: away, optional: true}}]", "couldn't fetch configmap \"away\": the cloud is away"),
      ] {
        let error = await #expect(throws: ContainerConfigError.self) { try await build(container) }
        #expect(error?.description == message)
      }
    }
  }

  @Test func pullSecretsBecomeLogins() async throws {
    let config = #"{"auths":{"example.com":{"username":"u","password":"hunter2"}}}"#
    let encoded = Data(config.utf8).base64EncodedString()
    let http = HTTPClient()
    try await ObjectTestStore.run { store in
      store.put(
        "shop/secret/new",
        objectSecret("new", "{\".dockerconfigjson\":\"\(encoded)\"}", #","type":"kubernetes.io/dockerconfigjson""#))
      store.put("shop/secret/opaque", objectSecret("opaque", "{}", #","type":"Opaque""#))
      store.put("shop/secret/bad", objectSecret("bad", #"{".dockercfg":"bm8="}"#, #","type":"kubernetes.io/dockercfg""#))
      let events = ImageEventLog()
      let objects = source(store)
      let pod = try pod("containers: []\nimagePullSecrets: [{name: new}, {name: gone}, {name: opaque}, {name: bad}, {}]")
      let found = try await objects.objects(of: pod)
      let operations = try objectOperations(objects, test, events: events, http: http, logger: Logger(label: "test"))
      let logins = operations.pullSecrets(of: pod, found)
      #expect(logins == [RegistryCredentials(["example.com": RegistryLogin(username: "u", password: "hunter2")])])
      #expect(
        events.events == [
          "Warning FailedToRetrieveImagePullSecret Unable to retrieve some image pull secrets (gone, bad); "
            + "attempting to pull the image may not succeed."
        ])
      var text = "\(found) \(String(reflecting: found)) \(logins)"
      dump(found, to: &text)
      #expect(!text.contains("hunter2") && text.contains("opaque"))
    }
    await http.shutdown()
  }

  // MARK: What is remembered

  private static func user(of names: String...) -> String {
    "containers: [{name: main, envFrom: [\(names.map { "{configMapRef: {name: \($0), optional: true}}" }.joined(separator: ", "))]}]"
  }

  @Test func podsShareWhatTheyReferTo() async throws {
    try await ObjectTestStore.run { store in
      store.put("shop/configmap/a", objectConfigMap("a", #"{"k":"1"}"#))
      store.put("shop/configmap/b", objectConfigMap("b", #"{"k":"1"}"#))
      let objects = source(store)
      let first = try pod(Self.user(of: "a"))
      try await ObjectWakes.follow(objects, for: first) { wakes in
        // Before the watch nothing is remembered: a change could have been missed.
        _ = try await objects.objects(of: first)
        #expect(store.requests.count == 2)
        _ = try await objects.objects(of: first)
        let second = try pod(Self.user(of: "a", "b"), uid: "u-2")
        let found = try await objects.objects(of: second)
        #expect(store.requests == ["query shop/configmap/a", "query shop/configmap/a", "query shop/configmap/b"])
        #expect(try found.content(.configMap, "a").get().values == ["k": [0x31]])
        #expect(objects.count == 2)
        try await store.publish("shop/configmap/a", objectConfigMap("a", #"{"k":"2"}"#))
        let woken = Set([await wakes.next(), await wakes.next()])
        #expect(woken == ["u-1", "u-2"])
        #expect(try await objects.objects(of: second).content(.configMap, "a").get().values == ["k": [0x32]])
        #expect(store.requests.count == 3)
        // What nobody refers to any more goes.
        objects.forget(podUID: "u-1")
        #expect(objects.count == 2)
        _ = try await objects.objects(of: try pod(Self.user(of: "b"), uid: "u-2"))
        #expect(objects.count == 1)
        objects.forget(podUID: "u-2")
        #expect(objects.count == 0)
      }
      // Nor is anything remembered after the watch.
      store.forgetRequests()
      _ = try await objects.objects(of: first)
      _ = try await objects.objects(of: first)
      #expect(store.requests.count == 2)
    }
  }

  @Test func immutableObjectsStayAsTheyAre() async throws {
    try await ObjectTestStore.run { store in
      let immutable = #","immutable":true"#
      store.put("shop/configmap/a", objectConfigMap("a", #"{"k":"1"}"#, immutable))
      let objects = source(store)
      let pod = try pod(Self.user(of: "a", "b"))
      try await ObjectWakes.follow(objects, for: pod) { wakes in
        _ = try await objects.objects(of: pod)
        store.forgetRequests()
        try await store.publish("shop/configmap/a", objectConfigMap("a", #"{"k":"2"}"#, immutable))
        try await store.publish("shop/configmap/a", nil)
        try await store.publish("shop/configmap/b", objectConfigMap("b", #"{"k":"3"}"#))
        #expect(await wakes.next() == "u-1")
        let found = try await objects.objects(of: pod)
        #expect(try found.content(.configMap, "a").get().values == ["k": [0x31]])
        #expect(try found.content(.configMap, "b").get().values == ["k": [0x33]])
        #expect(store.requests == [])
        // Another object of that name.
        try await store.publish(
          "shop/configmap/a", #"{"metadata":{"name":"a","uid":"another"},"data":{"k":"4"},"immutable":true}"#)
        #expect(await wakes.next() == "u-1")
        #expect(try await objects.objects(of: pod).content(.configMap, "a").get().values == ["k": [0x34]])
      }
    }
  }

  @Test func podsThatWaitAreWokenWhenTheCloudIsBack() async throws {
    try await ObjectTestStore.run { store in
      store.fail("shop/configmap/a", MetadataError(.offline, "the cloud is away"))
      let objects = source(store)
      let pod = try pod(Self.user(of: "a"))
      try await ObjectWakes.follow(objects, for: pod) { wakes in
        let before = try await objects.objects(of: pod)
        #expect(before.content(.configMap, "a").failure == .unknown("the cloud is away"))
        let revision = objects.revision(of: "u-1")
        store.fail("shop/configmap/a", nil)
        store.put("shop/configmap/a", objectConfigMap("a", "{}"))
        try await store.tell(.disconnected)
        try await store.tell(.connected)
        #expect(await wakes.next() == "u-1")
        #expect(objects.revision(of: "u-1") == revision + 1)
        #expect(try await objects.objects(of: pod).content(.configMap, "a").failure == nil)
      }
    }
  }

  @Test func anAnswerThatIsOlderThanAChangeDoesntCount() throws {
    var cache = PodObjectCache()
    let key = ObjectKey(namespace: "shop", type: "configmap", name: "a")
    func content(_ text: String) -> ObjectContent { ObjectContent(values: ["k": Array(text.utf8)]) }
    _ = cache.beginWatch()
    cache.use([key], by: "u-1")
    let ticket = cache.ticket(key)
    #expect(cache.change(key, to: content("new")) == ["u-1"])
    let counted = cache.settle(key, ticket, .success(content("old")), at: .now)
    #expect(try counted.get().values == content("new").values)
    #expect(try cache.known(key, at: .now)?.get().values == content("new").values)
    // Nor one that began before the watch did.
    let late = cache.ticket(key)
    cache.endWatch()
    _ = cache.beginWatch()
    #expect(try cache.settle(key, late, .success(content("old")), at: .now).get().values == content("old").values)
    #expect(cache.known(key, at: .now) == nil)
  }

  @Test func absenceIsRememberedForAShortWhile() throws {
    var cache = PodObjectCache()
    let key = ObjectKey(namespace: "shop", type: "secret", name: "a")
    let time = ContinuousClock.now
    _ = cache.beginWatch()
    cache.use([key], by: "u-1")
    _ = cache.settle(key, cache.ticket(key), .failure(.notFound), at: time)
    #expect(cache.known(key, at: time + .seconds(9))?.failure == .notFound)
    #expect(cache.known(key, at: time + .seconds(10)) == nil)
    _ = cache.settle(key, cache.ticket(key), .failure(.unknown("x")), at: time)
    #expect(cache.known(key, at: time) == nil)
    // Nor when the cloud, which may have told of it while it was away, is back.
    _ = cache.settle(key, cache.ticket(key), .failure(.notFound), at: time)
    #expect(cache.connected(["u-2"]) == ["u-1", "u-2"])
    #expect(cache.known(key, at: time) == nil && cache.connected([]) == [])
    // A removal of what wasn't known is no news.
    #expect(cache.change(key, to: nil) == [])
  }

  // MARK: Tokens

  private func request(_ pod: Pod) throws -> ServiceAccountTokens.Request {
    ServiceAccountTokens.Request(ServiceAccountTokenProjection(path: "t"), of: pod)
  }

  @Test func tokensAreKeptUntilTheyAreDue() async throws {
    try await ObjectTestStore.run { store in
      let begin = Moment(wall: Timestamp(seconds: 1_800_000_000), instant: .now)
      let (start, instant) = (begin.wall, begin.instant)
      let clock = Mutex(begin)
      let lines = ObjectTestLog.Lines()
      let tokens = ServiceAccountTokens(
        client: store.client, deadline: .seconds(20), logger: ObjectTestLog.logger(lines), now: { clock.withLock { $0 } },
        jitter: { .seconds(10) })
      let request = try request(pod("containers: []"))
      func text() async throws -> String? { try await tokens.token(request).get().text }
      func pass(_ seconds: Int64) { clock.withLock { $0 = Moment(wall: start + .seconds(seconds), instant: instant + .seconds(seconds)) } }

      store.state.withLock { $0.tokens = [objectToken("t0k-one", expires: start + .seconds(3600))] }
      #expect(try await text() == "t0k-one")
      #expect(tokens.nextRefresh(of: "u-1") == instant + .seconds(2870))
      #expect(tokens.nextRefresh(of: "u-2") == nil)
      store.state.withLock { $0.tokens = [objectToken("t0k-two", expires: start + .seconds(2870 + 3600))] }
      pass(2869)
      #expect(try await text() == "t0k-one")
      pass(2870)
      #expect(try await text() == "t0k-two")
      #expect(store.requests.count == 2)

      // Offline, it is used on, also when it is over; that is told once.
      store.fail("shop/serviceaccounttoken/default", MetadataError(.offline, "the cloud is away"))
      pass(6000)
      #expect(try await text() == "t0k-two")
      #expect(tokens.nextRefresh(of: "u-1") == instant + .seconds(6030))
      #expect(try await text() == "t0k-two")
      #expect(store.requests.count == 3)
      pass(6030)
      #expect(try await text() == "t0k-two")
      #expect(tokens.nextRefresh(of: "u-1") == instant + .seconds(6090))
      pass(90_000)
      #expect(try await text() == "t0k-two")
      #expect(lines.all.withLock { $0 }.count == 1)
      #expect(lines.all.withLock { $0 }.first?.contains("the cloud is away") == true)
      #expect(tokens.connected() == ["u-1"])
      store.fail("shop/serviceaccounttoken/default", nil)
      store.state.withLock { $0.tokens = [objectToken("t0k-three", expires: start + .seconds(400_000), lifetime: 310_000)] }
      #expect(try await text() == "t0k-three")
      // Of a long life no more than a day is used.
      #expect(tokens.nextRefresh(of: "u-1") == instant + .seconds(90_000 + 86_400 - 10))
      #expect(tokens.connected() == [])
      #expect(!lines.all.withLock { "\($0)" }.contains("t0k-"))
      let token = try await tokens.token(request).get()
      var printed = "\(token) \(String(reflecting: token))"
      dump(token, to: &printed)
      #expect(!printed.contains("t0k-"))
      tokens.forget(podUID: "u-1")
      #expect(tokens.nextRefresh(of: "u-1") == nil)
    }
  }

  @Test func tokensAreRenewedInTimeThoughTheClockIsSet() async throws {
    try await ObjectTestStore.run { store in
      // The node came up with its clock an hour fast, and without a cloud.
      let begin = Moment(wall: Timestamp(seconds: 1_800_003_600), instant: .now)
      let clock = Mutex(begin)
      let tokens = ServiceAccountTokens(
        client: store.client, deadline: .seconds(20), logger: Logger(label: "test"), now: { clock.withLock { $0 } }, jitter: { .zero })
      let request = try request(pod("containers: []"))
      func text() async throws -> String? { try await tokens.token(request).get().text }
      func pass(_ seconds: Int64, hasBeenSetBack: Bool) {
        let wall = begin.wall + .seconds(seconds - (hasBeenSetBack ? 3600 : 0))
        clock.withLock { $0 = Moment(wall: wall, instant: begin.instant + .seconds(seconds)) }
      }
      store.state.withLock { $0.tokens = [objectToken("one", expires: Timestamp(seconds: 1_800_003_600))] }
      #expect(try await text() == "one")
      // By that clock it is over already; it is asked for again, but not at once.
      #expect(tokens.nextRefresh(of: "u-1") == begin.instant + .seconds(30))
      store.fail("shop/serviceaccounttoken/default", MetadataError(.offline, "the cloud is away"))
      pass(30, hasBeenSetBack: false)
      #expect(try await text() == "one")
      // The clock is right now: the token is good for a long time, and is due in time.
      pass(31, hasBeenSetBack: true)
      #expect(tokens.nextRefresh(of: "u-1") == begin.instant + .seconds(2880))
      store.fail("shop/serviceaccounttoken/default", nil)
      store.state.withLock { $0.tokens = [objectToken("two", expires: Timestamp(seconds: 1_800_006_500))] }
      pass(2879, hasBeenSetBack: true)
      #expect(try await text() == "one")
      pass(2880, hasBeenSetBack: true)
      #expect(try await text() == "two")
    }
  }

  @Test func aTokenThatWasNeverHadIsAnError() async throws {
    try await ObjectTestStore.run { store in
      let tokens = ServiceAccountTokens(client: store.client, deadline: .seconds(20), logger: Logger(label: "test"))
      let request = try request(pod("containers: []"))
      store.fail("shop/serviceaccounttoken/default", MetadataError(.offline, "the cloud is away"))
      #expect(try await tokens.token(request).failure == .unknown("the cloud is away"))
      #expect(tokens.connected() == ["u-1"] && tokens.nextRefresh(of: "u-1") == nil)
      store.fail("shop/serviceaccounttoken/default", nil)
      store.state.withLock { $0.tokens = [#"{"spec":{"audiences":null}}"#] }
      #expect(try await tokens.token(request).failure == .unknown("the answer has no token"))
      store.state.withLock { $0.tokens = [#"{"spec":{},"status":{"token":"t0k","expirationTimestamp":"soon"}}"#] }
      let failure = try await tokens.token(request).failure
      #expect(failure == .unknown("the answer can't be read at status.expirationTimestamp"))
    }
  }
}

extension Result {
  fileprivate var failure: Failure? { if case .failure(let error) = self { error } else { nil } }
}
