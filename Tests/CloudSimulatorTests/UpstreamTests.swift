import CloudSimulator
import Core
import Testing
import YAML

@Suite(.timeLimit(.minutes(2)))
struct UpstreamTests {
  @Test
  func aNodeRegistersOnce() async throws {
    try await withNode { cloud, node in
      #expect(cloud.get("node", name: "edge-1")?.at("metadata", "annotations", "cloudcore") != nil)
      let again = try await node.request(.insert, "null/node/edge-1", #"{"metadata":{"name":"edge-1"}}"#).message
      #expect(again.json.at("Err", "ErrStatus", "reason") == .string("AlreadyExists"))
      #expect(again.json.at("Err", "ErrStatus", "message") == .string(#"nodes "edge-1" already exists"#))
      #expect(again.json.at("Object", "metadata") != nil)
    }
  }

  @Test
  func statusPatchesMergeByKeyAndComeBack() async throws {
    try await withNode { cloud, node in
      let object = try cloud.apply(try pod("web"))
      func patch(_ status: String, uid: String? = nil) async throws -> JSONValue {
        let text = #"{"metadata":{"uid":"\#(uid ?? object.uid)"},"status":\#(status)}"#
        return try await node.request(.patch, "default/podpatch/web", JSONValue.string(text).jsonText()).message.json
      }
      let first = try await patch(
        #"{"phase":"Running","conditions":[{"type":"Ready","status":"False"}],"podIPs":[{"ip":"10.0.0.1"}],"containerStatuses":[{"name":"main","ready":false,"restartCount":1}]}"#
      )
      #expect(first["Err"] == .null)
      #expect(first.at("Object", "kind") == nil)
      let types = (first.at("Object", "status", "conditions")?.array ?? []).compactMap { $0["type"]?.string }
      #expect(types == ["PodScheduled", "Ready"])

      let second = try await patch(
        #"{"$setElementOrder/conditions":[{"type":"Ready"},{"type":"PodScheduled"}],"conditions":[{"type":"Ready","status":"True"},{"$patch":"delete","type":"None"}],"$setElementOrder/podIPs":[{"ip":"10.0.0.2"}],"podIPs":[{"ip":"10.0.0.2"},{"$patch":"delete","ip":"10.0.0.1"}],"containerStatuses":[{"name":"main","ready":true}]}"#
      )
      let status = try #require(second.at("Object", "status"))
      #expect((status["conditions"]?.array ?? []).map { $0["status"]?.string } == ["True", "True"])
      #expect((status["conditions"]?.array ?? []).map { $0["type"]?.string } == ["Ready", "PodScheduled"])
      #expect(status["podIPs"] == .array([.object([.init("ip", .string("10.0.0.2"))])]))
      // Statuses of containers are replaced as a whole.
      #expect(status["containerStatuses"]?.array?.first?["restartCount"] == nil)

      // Each accepted patch comes back as an update of the pod.
      let version = second.at("Object")?.version ?? ""
      let echo = try await node.received { $0.resource == "default/pod/web" && $0.header.resourceVersion == version }.message
      #expect(echo.operation == .update && echo.json["status"] == status)

      let foreign = try await patch(#"{"phase":"Failed"}"#, uid: "another")
      #expect(foreign.at("Err", "ErrStatus", "reason") == .string("Conflict"))
      #expect(cloud.get("pod", name: "web")?.at("status", "phase") == .string("Running"))
      let missing = try await node.request(.patch, "default/podpatch/none", #""{\"status\":{}}""#).message.json
      #expect(missing.at("Err", "ErrStatus", "reason") == .string("NotFound"))
    }
  }

  @Test
  func aPatchWithoutEffectMakesNoVersion() async throws {
    try await withNode { cloud, node in
      let before = try #require(cloud.get("node", name: "edge-1")).version
      let answer = try await node.request(.patch, "null/nodepatch/edge-1", #""{}""#).message
      #expect(answer.header.resourceVersion == before)
      let addresses = #"{"status":{"addresses":[{"type":"InternalIP","address":"10.0.0.1"},{"type":"Hostname","address":"edge-1"}]}}"#
      _ = try await node.request(.patch, "null/nodepatch/edge-1", JSONValue.string(addresses).jsonText())
      let replaced = #"{"status":{"addresses":[{"type":"Hostname","address":"x"},{"$patch":"replace"}]}}"#
      let last = try await node.request(.patch, "null/nodepatch/edge-1", JSONValue.string(replaced).jsonText()).message.json
      #expect(last.at("Object", "status", "addresses")?.array?.count == 1)
    }
  }

  @Test
  func aDeletedPodGoesWhenItsNodeConfirms() async throws {
    // No comparison comes between, whose message about a deletion has no more than name and UID.
    try await withNode({ $0.syncInterval = .seconds(600) }) { cloud, node in
      let object = try cloud.apply(try pod("web"))
      try cloud.delete("pod", name: "web")
      let ending = try await node.received { $0.resource == "default/pod/web" && $0.json.at("metadata", "deletionTimestamp") != nil }
        .message
      #expect(ending.operation == .update)
      #expect(ending.json.at("metadata", "deletionGracePeriodSeconds")?.int == 30)
      // Another pod's UID deletes nothing, and is answered as done.
      let other = try await node.request(
        .delete, "default/pod/web", #"{"gracePeriodSeconds":0,"preconditions":{"uid":"another"}}"#
      ).message
      #expect(other.json == .string("OK"))
      #expect(cloud.get("pod", name: "web") != nil)
      let answer = try await node.request(
        .delete, "default/pod/web", #"{"gracePeriodSeconds":0,"preconditions":{"uid":"\#(object.uid)"}}"#
      ).message
      #expect(answer.json == .string("OK"))
      try await cloud.waitUntilGone("pod", name: "web")
      let gone = try await node.received { $0.resource == "default/pod/web" && $0.operation == .delete }.message
      #expect(gone.json.uid == object.uid && gone.json["spec"] != nil)
      #expect(try await node.request(.delete, "default/pod/web", #"{"gracePeriodSeconds":0}"#).message.json == .string("OK"))

      // Older nodes send the UID alone.
      let next = try cloud.apply(try pod("next"))
      let legacy = try await node.request(.delete, "default/pod/next", JSONValue.string(next.uid).jsonText()).message
      #expect(legacy.json == .string("OK"))
      #expect(cloud.get("pod", name: "next") == nil)
    }
  }

  @Test
  func finalizersHoldAPod() async throws {
    try await withNode { cloud, node in
      var object = try pod("web")
      object["metadata"]?["finalizers"] = .array([.string("example.com/hold")])
      let applied = try cloud.apply(object)
      try cloud.delete("pod", name: "web")
      _ = try await node.request(
        .delete, "default/pod/web", #"{"gracePeriodSeconds":0,"preconditions":{"uid":"\#(applied.uid)"}}"#)
      #expect(cloud.get("pod", name: "web")?.at("metadata", "deletionGracePeriodSeconds")?.int == 0)
      object["metadata"]?["finalizers"] = .array([])
      try cloud.apply(object)
      try await cloud.waitUntilGone("pod", name: "web")
    }
  }

  @Test
  func leasesHaveVersions() async throws {
    try await withNode { cloud, node in
      let path = "kube-node-lease/lease/edge-1"
      let missing = try await node.request(.query, path).message
      #expect(missing.json["Object"] == .null)
      #expect(missing.json.at("Err", "ErrStatus", "reason") == .string("NotFound"))
      let body =
        #"{"metadata":{"name":"edge-1","namespace":"kube-node-lease"},"spec":{"holderIdentity":"edge-1","leaseDurationSeconds":40}}"#
      let created = try #require(try await node.request(.insert, path, body).message.json["Object"])
      var renewed = created
      renewed["spec"]?["renewTime"] = .string("2026-01-01T00:00:00.000000Z")
      let updated = try await node.request(.update, path, renewed.jsonText()).message.json
      #expect(updated["Err"] == .null && updated.at("Object")?.version != created.version)
      let stale = try await node.request(.update, path, renewed.jsonText()).message.json
      #expect(stale.at("Err", "ErrStatus", "reason") == .string("Conflict"))
      #expect(try await node.request(.query, path).message.json.at("Object", "kind") == .string("Lease"))
    }
  }

  @Test
  func tokensAreForPodsThatExist() async throws {
    try await withNode { cloud, node in
      let object = try cloud.apply(try pod("web"))
      func token(_ account: String, uid: String) async throws -> JSONValue {
        try await node.request(
          .query, "default/serviceaccounttoken/\(account)",
          #"{"spec":{"audiences":null,"expirationSeconds":3607,"boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"web","uid":"\#(uid)"}}}"#
        ).message.json
      }
      let good = try await token("default", uid: object.uid)
      #expect(good.at("status", "token")?.string?.split(separator: ".").count == 3)
      #expect(good.at("status", "expirationTimestamp")?.string != nil)
      #expect(try await token("default", uid: "another").at("ErrStatus", "reason") == .string("Conflict"))
      #expect(try await token("nobody", uid: object.uid).at("ErrStatus", "reason") == .string("NotFound"))
    }
  }

  @Test
  func whatTheCloudDoesNotKnowGetsNoAnswer() async throws {
    try await withNode { cloud, node in
      let silent: [(Message.Operation, String, String)] = [
        (.query, "default/pod/web", "edged"), (.insert, "default/volumeattachment/a", "edged"), (.query, "default/csinode/a", "edged"),
        ("get", "membership/detail", "twin"), (.query, "default/configmap/kube-root-ca.crt", "edgecontroller"),
        (.insert, "default/event/a", "edged"),
      ]
      let sent = silent.map { operation, resource, source in
        Message(route: .init(source: source, group: "meta", operation: operation, resource: resource), content: Array("{}".utf8))
      }
      for message in sent { node.send(message) }
      // Answers come in the order of the requests: after this one none of the others can follow.
      _ = try await node.request(.query, "default/configmap/none")
      #expect(!node.received.contains { received in sent.contains { $0.id == received.message.parentID } })
      #expect(cloud.get("event", name: "a") != nil)
    }
  }

  @Test
  func theAuthorityOfTheClusterIsText() async throws {
    try await withNode { cloud, node in
      let message = Message(route: .init(source: "metamanager", group: "meta", operation: .query, resource: "k8s/ca.crt"))
      node.send(message)
      let answer = try await node.received { $0.parentID == message.id }.message
      #expect(answer.route.source == "cloudhub" && answer.route.group == "resource")
      #expect(answer.json.string?.hasPrefix("-----BEGIN CERTIFICATE-----") == true)
    }
  }

  @Test
  func podsGetTheDefaultsOfAnAPIServer() async throws {
    try await withCloud({ $0.mountsServiceAccountTokens = true }) { cloud async throws -> Void in
      let object = try cloud.apply(try pod("web"))
      #expect(object.at("spec", "restartPolicy") == .string("Always"))
      #expect(object.at("spec", "terminationGracePeriodSeconds")?.int == 30)
      #expect(object.at("spec", "serviceAccountName") == .string("default"))
      #expect(object.at("status", "qosClass") == .string("BestEffort"))
      let container = try #require(object.at("spec", "containers")?.array?.first)
      #expect(container["imagePullPolicy"] == .string("IfNotPresent"))
      #expect(container["terminationMessagePath"] == .string("/dev/termination-log"))
      let volume = try #require(object.at("spec", "volumes")?.array?.first?["name"]?.string)
      #expect(volume.hasPrefix("kube-api-access-"))
      #expect(container["volumeMounts"]?.array?.first?["name"] == .string(volume))
      // Applying the same again changes nothing.
      let again = try cloud.apply(try pod("web"))
      #expect(again.version == object.version)
      #expect(again.at("spec", "containers") == object.at("spec", "containers"))
      #expect(cloud.get("configmap", name: "kube-root-ca.crt") != nil)
    }
  }
}
