import Core
import Curl
import Glibc
import KubernetesAPI
import Logging
import Runtime
import Synchronization
import Testing
import YAML

@testable import Edged

/// Volumes of config maps, secrets and tokens, from the metadata store to the files.
@Suite(.timeLimit(.minutes(2)), .enabled(if: volumeTestsAreRoot, "mounting needs root")) struct ObjectVolumeTests {
  let test = VolumeTestDirectory()

  private func source(_ store: ObjectTestStore) -> PodObjectSource {
    PodObjectSource(client: store.client, logger: Logger(label: "test"), deadline: .seconds(20))
  }

  private func pod(_ volumes: String, _ more: String = "") throws -> Pod {
    try Pod.yaml("containers: [{name: main}]\n\(more)\nvolumes:\n\(volumes)")
  }

  /// Sets the pod up; the volumes' directories by name.
  private func setUp(_ pod: Pod, _ objects: PodObjectSource, _ volumes: PodVolumes? = nil) async throws -> [String: String] {
    let found = try await objects.objects(of: pod)
    let volumes = volumes ?? PodVolumes(paths: test.paths)
    return try await volumes.setUp(pod, downward: volumeDownward(pod), objects: found).mapValues(\.hostPath)
  }

  private func failure(_ pod: Pod, _ objects: PodObjectSource) async -> String? {
    do {
      _ = try await setUp(pod, objects)
      return nil
    } catch {
      return "\(error)"
    }
  }

  @Test func objectsBecomeFiles() async throws {
    try await ObjectTestStore.run { store in
      store.put("shop/configmap/settings", objectConfigMap("settings", #"{"a":"1","b":"ü"}"#, #","binaryData":{"raw":"/wCA"}"#))
      store.put("shop/secret/keys", objectSecret("keys", #"{"token":"czNjcmV0","other":""}"#))
      let pod = try pod(
        """
        - {name: all, configMap: {name: settings}}
        - {name: some, configMap: {name: settings, defaultMode: 256, items: [{key: b, path: deep/b, mode: 384}, {key: raw, path: raw}]}}
        - {name: secret, secret: {secretName: keys, defaultMode: 288}}
        - {name: item, secret: {secretName: keys, items: [{key: token, path: t}]}}
        - {name: lax, secret: {secretName: keys, optional: true, items: [{key: none, path: none}, {key: token, path: t}]}}
        - {name: absent, configMap: {name: none, optional: true}}
        """)
      let paths = try await setUp(pod, source(store))
      let all = try #require(paths["all"])
      #expect(all.hasSuffix("/volumes/kubernetes.io~configmap/all"))
      #expect(try volumeText(all + "/a") == "1" && volumeText(all + "/b") == "ü")
      #expect(try FileSystem.read(all + "/raw", limit: 10) == [0xFF, 0x00, 0x80])
      #expect(try FileSystem.status(all + "/a")?.mode == 0o644)
      let some = try #require(paths["some"])
      #expect(try FileSystem.list(some).filter { !$0.hasPrefix("..") } == ["deep", "raw"])
      #expect(try FileSystem.status(some + "/deep/b")?.mode == 0o600 && FileSystem.status(some + "/raw")?.mode == 0o400)
      let secret = try #require(paths["secret"])
      #expect(try volumeText(secret + "/token") == "s3cret" && volumeText(secret + "/other") == "")
      #expect(try FileSystem.status(secret + "/token")?.mode == 0o440)
      // Secrets stay in memory.
      #expect(try Mount.isFileSystemRoot(secret) && !Mount.isFileSystemRoot(all))
      for name in ["item", "lax"] {
        #expect(try FileSystem.list(paths[name] ?? "").filter { !$0.hasPrefix("..") } == ["t"])
      }
      #expect(try FileSystem.list(paths["absent"] ?? "").filter { !$0.hasPrefix("..") } == [])
      #expect(store.requests == ["query shop/configmap/none", "query shop/configmap/settings", "query shop/secret/keys"])
    }
  }

  @Test(arguments: [
    ("configMap: {name: none}", "configmap \"none\" not found"),
    ("secret: {secretName: none}", "secret \"none\" not found"),
    ("configMap: {name: settings, items: [{key: k, path: k}]}", "configmap references non-existent config key: k"),
    ("secret: {secretName: keys, items: [{key: k, path: k}]}", "references non-existent secret key: k"),
    ("configMap: {name: away}", "couldn't fetch configmap \"away\": the cloud is away"),
    // What may exist but can't be had is no absence.
    ("configMap: {name: away, optional: true}", "couldn't fetch configmap \"away\": the cloud is away"),
    ("configMap: {name: broken}", "couldn't fetch configmap \"broken\": the answer is another object"),
    ("secret: {secretName: odd}", "couldn't fetch secret \"odd\": the answer can't be read at data.k"),
    (
      "projected: {sources: [{configMap: {name: none}}, {secret: {name: none, optional: true}}, {secret: {name: none}}]}",
      "[configmap \"none\" not found, secret \"none\" not found]"
    ),
    ("projected: {sources: [{serviceAccountToken: {path: t}}]}", "failed to fetch token: there is no shop/serviceaccounttoken/default"),
    ("configMap: {name: settings, items: [{key: a, path: ../a}]}", "path \"../a\" must not contain \"..\""),
  ])
  func failuresSayWhatIsWrong(volume: String, message: String) async throws {
    try await ObjectTestStore.run { store in
      store.put("shop/configmap/settings", objectConfigMap("settings", #"{"a":"1"}"#))
      store.put("shop/secret/keys", objectSecret("keys", "{}"))
      store.put("shop/secret/odd", objectSecret("odd", #"{"k":12345}"#))
      store.put("shop/configmap/broken", #"{"ErrStatus":{"metadata":{},"status":"Failure"}}"#)
      store.fail("shop/configmap/away", MetadataError(.offline, "the cloud is away"))
      let pod = try pod("- {name: v, \(volume)}")
      let told = await failure(pod, source(store))
      #expect(told == "MountVolume.SetUp failed for volume \"v\" : \(message)")
    }
  }

  @Test func aStoreThatSaysNothingFailsInTime() async throws {
    try await ObjectTestStore.run { store in
      _ = store.state.withLock { $0.silent.insert("shop/configmap/mute") }
      let objects = PodObjectSource(client: store.client, logger: Logger(label: "test"), deadline: .milliseconds(200))
      let message = await failure(try pod("- {name: v, configMap: {name: mute}}"), objects)
      #expect(message?.contains("couldn't fetch configmap \"mute\": no answer about shop/configmap/mute within") == true)
    }
  }

  @Test func theAPIsAccessVolumeIsWhole() async throws {
    try await ObjectTestStore.run { store in
      store.put("shop/configmap/kube-root-ca.crt", objectConfigMap("kube-root-ca.crt", #"{"ca.crt":"PEM"}"#))
      store.state.withLock { $0.tokens = [objectToken("t0ken", expires: .now + .seconds(3607), lifetime: 3607)] }
      let volume = """
        - name: kube-api-access-x
          projected:
            defaultMode: 420
            sources:
            - serviceAccountToken: {expirationSeconds: 3607, path: token}
            - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
            - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
        """
      let objects = source(store)
      let path = try #require(try await setUp(try pod(volume), objects)["kube-api-access-x"])
      #expect(try volumeText(path + "/token") == "t0ken" && volumeText(path + "/ca.crt") == "PEM")
      #expect(try volumeText(path + "/namespace") == "shop")
      #expect(try FileSystem.status(path + "/token")?.mode == 0o644)
      let asked = try JSONValue(json: store.state.withLock { $0.tokenRequests.first ?? "" })
      #expect(asked["spec"]?["expirationSeconds"]?.int == 3607 && asked["spec"]?["audiences"] == nil)
      #expect(asked["spec"]?["boundObjectRef"]?["uid"]?.string == "u-1" && asked["spec"]?["boundObjectRef"]?["name"]?.string == "web")
      #expect(store.requests.contains("query shop/serviceaccounttoken/default"))
      // A token whose readers are known is for them alone.
      var owned = try pod(volume, "securityContext: {runAsUser: 1234}\nserviceAccountName: robot")
      owned.metadata.uid = "u-2"
      let private1 = try #require(try await setUp(owned, objects)["kube-api-access-x"])
      let status = try #require(try FileSystem.status(private1 + "/token"))
      #expect(status.mode == 0o600 && status.userID == 1234)
      #expect(try FileSystem.status(private1 + "/ca.crt")?.userID == geteuid())
      #expect(store.requests.contains("query shop/serviceaccounttoken/robot"))
      var grouped = try pod(volume, "securityContext: {fsGroup: 4711}")
      grouped.metadata.uid = "u-3"
      let private2 = try #require(try await setUp(grouped, objects)["kube-api-access-x"])
      let shared = try #require(try FileSystem.status(private2 + "/token"))
      #expect(shared.mode == 0o640 && shared.groupID == 4711)
    }
  }

  @Test func anAgentWithoutACloudSaysSo() async throws {
    let objects = PodObjectSource(client: nil, logger: Logger(label: "test"))
    await objects.run { _ in }
    #expect(
      await failure(try pod("- {name: v, secret: {secretName: s}}"), objects)
        == "MountVolume.SetUp failed for volume \"v\" : secret volumes need a cloud connection")
    #expect(await failure(try pod("- {name: v, secret: {secretName: s, optional: true}}"), objects) == nil)
    #expect(objects.nextRefresh(of: "u-1") == nil && objects.revision(of: "u-1") == 0)
  }

  // MARK: Changes

  private struct Scene {
    let store: ObjectTestStore
    let objects: PodObjectSource
    let operations: PodOperations
    let events: ImageEventLog
    let wakes: ObjectWakes
  }

  /// A pod that was set up, and a source that follows the store.
  private func following(
    _ pod: Pod, prepare: (ObjectTestStore) -> Void, _ body: (Scene) async throws -> Void
  ) async throws {
    let http = HTTPClient()
    try await ObjectTestStore.run { store in
      prepare(store)
      let objects = source(store)
      let events = ImageEventLog()
      let operations = try objectOperations(objects, test, events: events, http: http, logger: Logger(label: "test"))
      try await ObjectWakes.follow(objects, for: pod) { wakes in
        try await body(Scene(store: store, objects: objects, operations: operations, events: events, wakes: wakes))
      }
    }
    await http.shutdown()
  }

  private func running() throws -> PodRecord { Fixture.record([try Fixture.container("main", .containerRunning)]) }

  @Test func changesReachTheFilesOfARunningPod() async throws {
    let pod = try pod("- {name: v, configMap: {name: settings}}\n- {name: s, secret: {secretName: keys}}")
    try await following(pod) { store in
      store.put("shop/configmap/settings", objectConfigMap("settings", #"{"a":"1","old":"x"}"#))
      store.put("shop/secret/keys", objectSecret("keys", #"{"k":"MQ=="}"#))
    } _: { scene in
      let wakes = scene.wakes
      let record = try running()
      var refresh = await scene.operations.refreshVolumes(pod, record, after: VolumeRefresh())
      let path = test.paths.volume("v", plugin: "configmap", podUID: "u-1")
      let secrets = test.paths.volume("s", plugin: "secret", podUID: "u-1")
      #expect(try volumeText(path + "/a") == "1" && volumeText(secrets + "/k") == "1")
      let before = try FileSystem.readLink(path + "/..data")
      let secretsBefore = try FileSystem.readLink(secrets + "/..data")
      scene.store.forgetRequests()

      try await scene.store.publish("shop/configmap/settings", objectConfigMap("settings", #"{"a":"2","new":"y"}"#))
      #expect(await wakes.next() == "u-1")
      let changed = await scene.operations.refreshVolumes(pod, record, after: refresh)
      #expect(changed != refresh)
      refresh = changed
      #expect(try volumeText(path + "/a") == "2" && volumeText(path + "/new") == "y" && volumeText(path + "/old") == nil)
      #expect(try FileSystem.readLink(path + "/..data") != before)
      // Neither the cloud was asked again, nor was touched what stayed the same.
      #expect(scene.store.requests == [])
      #expect(try FileSystem.readLink(secrets + "/..data") == secretsBefore)

      // The same values again are no change.
      let revision = scene.objects.revision(of: "u-1")
      try await scene.store.publish("shop/configmap/settings", objectConfigMap("settings", #"{"new":"y","a":"2"}"#))
      try await scene.store.publish("shop/secret/keys", objectSecret("keys", #"{"k":"Mg=="}"#))
      #expect(await wakes.next() == "u-1")
      #expect(scene.objects.revision(of: "u-1") == revision + 1)
      _ = await scene.operations.refreshVolumes(pod, record, after: refresh)
      #expect(try volumeText(secrets + "/k") == "2")
      #expect(scene.events.events == [])
    }
  }

  @Test func labelsAndAnnotationsReachTheFilesOfARunningPod() async throws {
    var pod = try Pod.yaml(
      """
      containers: [{name: main}]
      volumes: [{name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}]
      """, labels: ["app": "web"])
    let objects = PodObjectSource(client: nil, logger: Logger(label: "test"))
    let http = HTTPClient()
    let operations = try objectOperations(objects, test, events: ImageEventLog(), http: http, logger: Logger(label: "test"))
    let path = test.paths.volume("info", plugin: "downward-api", podUID: "u-1")
    let first = await operations.refreshVolumes(pod, try running(), after: VolumeRefresh())
    #expect(try volumeText(path + "/labels") == "app=\"web\"")
    #expect(await operations.refreshVolumes(pod, try running(), after: first) == first)
    pod.metadata.labels?["app"] = "shop"
    let second = await operations.refreshVolumes(pod, try running(), after: first)
    #expect(second != first)
    #expect(try volumeText(path + "/labels") == "app=\"shop\"")
    // A pod of which nothing runs is left to its start.
    #expect(await operations.refreshVolumes(pod, Fixture.record([]), after: second) == VolumeRefresh())
    await http.shutdown()
  }

  @Test func whatIsMissingIsToldAndFoundWhenItAppears() async throws {
    let pod = try pod("- {name: v, configMap: {name: late}}\n- {name: o, configMap: {name: maybe, optional: true}}")
    try await following(pod) { _ in
    } _: { scene in
      let wakes = scene.wakes
      let record = try running()
      let failed = await scene.operations.refreshVolumes(pod, record, after: VolumeRefresh())
      #expect(scene.events.events == ["Warning FailedMount MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found"])
      #expect(failed.nextLook.map { $0 > .now } == true)
      try await scene.store.publish("shop/configmap/late", objectConfigMap("late", #"{"a":"1"}"#))
      #expect(await wakes.next() == "u-1")
      let found = await scene.operations.refreshVolumes(pod, record, after: failed)
      #expect(found.nextLook == nil)
      #expect(try volumeText(test.paths.volume("v", plugin: "configmap", podUID: "u-1") + "/a") == "1")
      try await scene.store.publish("shop/configmap/maybe", objectConfigMap("maybe", #"{"b":"2"}"#))
      #expect(await wakes.next() == "u-1")
      let optional = await scene.operations.refreshVolumes(pod, record, after: found)
      let path = test.paths.volume("o", plugin: "configmap", podUID: "u-1")
      #expect(try volumeText(path + "/b") == "2")
      // Gone again: the files of an optional one go, a needed one is told of and its files stay.
      try await scene.store.publish("shop/configmap/maybe", nil)
      #expect(await wakes.next() == "u-1")
      let emptied = await scene.operations.refreshVolumes(pod, record, after: optional)
      #expect(try volumeText(path + "/b") == nil)
      scene.events.clear()
      try await scene.store.publish("shop/configmap/late", nil)
      #expect(await wakes.next() == "u-1")
      _ = await scene.operations.refreshVolumes(pod, record, after: emptied)
      #expect(scene.events.events == ["Warning FailedMount MountVolume.SetUp failed for volume \"v\" : configmap \"late\" not found"])
      #expect(try volumeText(test.paths.volume("v", plugin: "configmap", podUID: "u-1") + "/a") == "1")
    }
  }

  @Test func tokensAreRenewedAndReachTheFiles() async throws {
    let pod = try pod("- {name: t, projected: {sources: [{serviceAccountToken: {path: token, audience: api}}]}}")
    try await following(pod) { store in
      // The first one is due at once: of its hour only ten minutes are left.
      store.state.withLock {
        $0.tokens = [objectToken("one", expires: .now + .seconds(600)), objectToken("two", expires: .now + .seconds(3600))]
      }
    } _: { scene in
      let wakes = scene.wakes
      let path = test.paths.volume("t", plugin: "projected", podUID: "u-1") + "/token"
      let first = await scene.operations.refreshVolumes(pod, try running(), after: VolumeRefresh())
      #expect(try volumeText(path) == "one")
      // In no haste: an agent whose clock is wrong must not ask all the time.
      #expect(first.nextLook.map { $0 > .now + .seconds(20) } == true)
      try await scene.store.tell(.connected)
      #expect(await wakes.next() == "u-1")
      let second = await scene.operations.refreshVolumes(pod, try running(), after: first)
      #expect(try volumeText(path) == "two")
      #expect(scene.objects.nextRefresh(of: "u-1").map { $0 > .now + .seconds(2000) && $0 < .now + .seconds(2881) } == true)
      // Long before, as the clock may be set.
      #expect(second.nextLook.map { $0 > .now + .seconds(200) && $0 <= .now + .seconds(300) } == true)
      scene.objects.forget(podUID: "u-1")
      #expect(scene.objects.nextRefresh(of: "u-1") == nil)
    }
  }
}
