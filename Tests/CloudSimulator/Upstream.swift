import Core
import YAML

/// What nodes say.
extension CloudCore {
  private static let reservedSources: Set<String> = [
    "cloudhub", "cloudStream", "devicecontroller", "edgecontroller", "synccontroller",
  ]

  /// - Returns: false if the text can't be read, which ends the connection.
  func received(_ text: [UInt8], from session: NodeSession) -> Bool {
    let message: Message
    do {
      message = try GoWire.decode(text)
    } catch {
      transcript.add(.toCloud, node: session.node, text: text, message: nil)
      return false
    }
    transcript.add(.toCloud, node: session.node, text: text, message: message)
    if faults.isMute { return true }
    switch message.operation {
    case .keepalive: session.keepAlive()
    case "config", "ping", "pong": session.send(.reply(to: message, content: Array("\"ack\"".utf8)))
    case _ where AckRules.isVolumeOperation(message.resource): break
    case .response: session.acknowledged(message.parentID)
    case .error: break
    case .upload where message.route.group == "user": routed.send((session.node, message))
    case .prepull, .upgrade, .updateNodeActionStatus: break
    case _ where message.resource == "k8s/ca.crt": reply(to: message, .string(authority.pem), session, source: "cloudhub")
    default: dispatch(message, session)
    }
    return true
  }

  private func dispatch(_ message: Message, _ session: NodeSession) {
    switch message.route.source {
    case "metaserver": break
    case "twin": deviceReported(message, session)
    case let source where Self.reservedSources.contains(source): break
    default:
      guard let key = ObjectKey(resource: message.resource) else { return }
      edge(message, key, session)
    }
  }

  private func edge(_ message: Message, _ key: ObjectKey, _ session: NodeSession) {
    // Here a string is not JSON in a string, but a UID.
    if key.type == "pod", message.operation == .delete { return deletePod(message, key, session) }
    guard let content = try? JSONValue(json: message.payload) else { return }
    switch (key.type, message.operation) {
    case ("node", .insert): registerNode(message, key, content, session)
    case ("node", .update): updateNode(message, key, content, session)
    case ("nodepatch", _): patchStatus(message, .init(type: "node", namespace: "", name: key.name), content, session)
    case ("podpatch", _): patchStatus(message, .init(type: "pod", namespace: key.namespace, name: key.name), content, session)
    case ("pod", .insert): insertPod(message, key, content, session)
    case ("lease", .insert), ("lease", .update), ("lease", .query): lease(message, key, content, session)
    case ("node", .query), ("configmap", .query), ("secret", .query), ("persistentvolume", .query), ("persistentvolumeclaim", .query),
      ("volumeattachment", .query), ("certificatesigningrequest", .query):
      query(message, key, session)
    case ("certificatesigningrequest", .insert):
      respond(to: message, session, emptyKind: nil) {
        try store.create(named(content, key, "CertificateSigningRequest", "certificates.k8s.io/v1"))
      }
    case ("serviceaccounttoken", .query): token(message, key, content, session)
    case ("event", .insert), ("event", .update), ("event", .patch): event(message, key, content)
    default: break
    }
  }

  // MARK: Answers

  func reply(
    to request: Message, _ content: JSONValue, _ session: NodeSession, source: String = "edgecontroller", version: String = ""
  ) {
    let message = Message(
      header: .init(parentID: request.id, resourceVersion: version),
      route: .init(source: source, group: "resource", operation: .response, resource: request.resource), content: content.jsonBytes())
    if AckRules.needsAck(message, content: content) {
      deliver(message, content, to: session.node)
    } else {
      session.send(message)
    }
  }

  /// Answers with the object that `work` yields, or with its refusal and an empty object.
  private func respond(
    to message: Message, _ session: NodeSession, emptyKind: JSONValue?, versioned: Bool = false, _ work: () throws -> JSONValue
  ) {
    do {
      let object = try work()
      reply(
        to: message, .members(("Object", object.withoutKind), ("Err", .null)), session, version: versioned ? object.resourceVersion : "")
    } catch let error as APIError {
      reply(to: message, .members(("Object", emptyKind ?? .null), ("Err", error.content)), session)
    } catch {
      reply(to: message, .members(("Object", .null), ("Err", .empty)), session)
    }
  }

  /// An object of a node as the API server needs it.
  private func named(_ object: JSONValue, _ key: ObjectKey, _ kind: String, _ version: String) -> JSONValue {
    var result = JSONValue.members(("kind", .string(kind)), ("apiVersion", .string(version)))
    for member in object.object ?? [] where !["kind", "apiVersion"].contains(member.key) { result[member.key] = member.value }
    result.set("metadata", "name", to: .string(key.name))
    result.set(
      "metadata", "namespace", to: ObjectKind(kind).isNamespaced ? .string(key.namespace) : nil)
    return result
  }

  // MARK: Nodes

  private func registerNode(_ message: Message, _ key: ObjectKey, _ content: JSONValue, _ session: NodeSession) {
    guard content.object != nil else { return }
    respond(to: message, session, emptyKind: EmptyObjects.node) {
      var node = named(content, key, "Node", "v1")
      node.set("metadata", "annotations", "cloudcore", to: .string(configuration.host))
      let taint = JSONValue.members(("key", .string("node.kubernetes.io/not-ready")), ("effect", .string("NoSchedule")))
      node.set("spec", "taints", to: .array((node.at("spec", "taints")?.array ?? []) + [taint]))
      return try store.create(node)
    }
    // Controllers touch a new node at once, so that a newer version of it follows the answer.
    _ = try? store.update(.init(type: "node", namespace: "", name: key.name)) {
      $0.set("metadata", "annotations", "node.alpha.kubernetes.io/ttl", to: .string("0"))
    }
    schedule()
  }

  private func updateNode(_ message: Message, _ key: ObjectKey, _ content: JSONValue, _ session: NodeSession) {
    let updated = try? store.update(.init(type: "node", namespace: "", name: key.name)) { node in
      let version = content.resourceVersion
      guard version.isEmpty || version == node.resourceVersion else { throw APIError.outdated("nodes", name: key.name) }
      for part in ["labels", "annotations"] { node.set("metadata", part, to: content.at("metadata", part)) }
      if let spec = content["spec"] { node["spec"] = spec }
    }
    // A refusal is only logged.
    guard let updated else { return }
    reply(to: message, .string("OK"), session, version: updated.resourceVersion)
  }

  private func patchStatus(_ message: Message, _ key: ObjectStore.Key, _ patch: JSONValue, _ session: NodeSession) {
    let empty = key.type == "node" ? EmptyObjects.node : EmptyObjects.pod
    respond(to: message, session, emptyKind: empty, versioned: true) {
      guard patch.object != nil else {
        let plural = ObjectKind(key.type).plural
        throw APIError(reason: .badRequest, message: "the patch is no object", name: key.name, group: "", kind: plural)
      }
      return try store.update(key) { object in
        let plural = ObjectKind(key.type).plural
        if let uid = patch.at("metadata", "uid")?.string, uid != object.uid {
          throw APIError.wrongUID(plural, name: key.name, wanted: uid, actual: object.uid)
        }
        if let version = patch.at("metadata", "resourceVersion")?.string, version != object.resourceVersion {
          throw APIError.outdated(plural, name: key.name)
        }
        let patched = StrategicMerge.apply(patch, to: object)
        // Of the rest of an object this way leads only to labels and annotations.
        if let status = patched["status"] { object["status"] = status }
        for part in ["labels", "annotations"] where patched.at("metadata", part) != object.at("metadata", part) {
          object.set("metadata", part, to: patched.at("metadata", part))
        }
      }
    }
    if key.type == "node" { untaint(key) }
  }

  /// What the cloud's node controller does when a node has become ready.
  private func untaint(_ key: ObjectStore.Key) {
    _ = try? store.update(key) { node in
      let isReady = node.at("status", "conditions")?.array?.contains { $0["type"] == .string("Ready") && $0["status"] == .string("True") }
      guard isReady == true, let taints = node.at("spec", "taints")?.array else { return }
      let kept = taints.filter { $0["key"]?.string != "node.kubernetes.io/not-ready" }
      node.set("spec", "taints", to: kept.isEmpty ? nil : .array(kept))
    }
  }

  // MARK: Pods

  private func deletePod(_ message: Message, _ key: ObjectKey, _ session: NodeSession) {
    guard let options = try? JSONValue(json: message.content) else { return }
    // A string is the UID alone, as older nodes send it.
    let uid = options.string ?? options.at("preconditions", "uid")?.string
    let gracePeriod = options.string != nil ? 0 : options["gracePeriodSeconds"]?.int
    do {
      try store.delete(.init(type: "pod", namespace: key.namespace, name: key.name), gracePeriod: gracePeriod, uid: uid)
      reply(to: message, .string("OK"), session)
    } catch let error as APIError where ![.notFound, .conflict].contains(error.reason) {
      reply(to: message, error.content, session)
    } catch {
      // A pod that is gone, or another one of that name: what was wished has come true.
      reply(to: message, .string("OK"), session)
    }
  }

  private func insertPod(_ message: Message, _ key: ObjectKey, _ content: JSONValue, _ session: NodeSession) {
    guard content.object != nil else { return }
    respond(to: message, session, emptyKind: EmptyObjects.pod) {
      var pod = named(content, key, "Pod", "v1")
      PodDefaults.apply(to: &pod, tokenVolume: nil)
      return try store.create(pod)
    }
  }

  // MARK: Leases

  private func lease(_ message: Message, _ key: ObjectKey, _ content: JSONValue, _ session: NodeSession) {
    let stored = ObjectStore.Key(type: "lease", namespace: key.namespace, name: key.name)
    let group = "coordination.k8s.io"
    switch message.operation {
    case .query:
      // Of all such answers only this one tells the kind.
      if let lease = store.get(stored) {
        reply(to: message, .members(("Object", lease), ("Err", .null)), session)
      } else {
        let error = APIError.notFound("lease", group: group, name: key.name)
        reply(to: message, .members(("Object", .null), ("Err", error.content)), session)
      }
    case .insert:
      respond(to: message, session, emptyKind: EmptyObjects.lease) { try store.create(named(content, key, "Lease", "\(group)/v1")) }
    default:
      respond(to: message, session, emptyKind: EmptyObjects.lease) {
        try store.update(stored) { lease in
          let version = content.resourceVersion
          guard version.isEmpty || version == lease.resourceVersion else {
            throw APIError.outdated("leases", group: group, name: key.name)
          }
          if let spec = content["spec"] { lease["spec"] = spec }
          for part in ["labels", "annotations", "ownerReferences"] {
            lease.set("metadata", part, to: content.at("metadata", part))
          }
        }
      }
    }
  }

  // MARK: Queries

  private func query(_ message: Message, _ key: ObjectKey, _ session: NodeSession) {
    let kind = ObjectKind(key.type)
    if let object = store.get(.init(type: key.type, namespace: kind.isNamespaced ? key.namespace : "", name: key.name)) {
      reply(to: message, object, session, version: object.resourceVersion)
    } else {
      // Those that come from a cache are called by the name of one, those from the API server by that of many.
      let isCached = ["configmap", "secret", "node"].contains(key.type)
      let error = APIError.notFound(isCached ? key.type : kind.plural, group: kind.group, name: key.name)
      reply(to: message, error.content, session)
    }
  }

  private func token(_ message: Message, _ key: ObjectKey, _ request: JSONValue, _ session: NodeSession) {
    guard let account = store.get(.init(type: "serviceaccount", namespace: key.namespace, name: key.name)) else {
      reply(to: message, APIError.notFound("serviceaccounts", name: key.name).content, session)
      return
    }
    var spec = request["spec"] ?? .empty
    spec.fill("audiences", .array([.string("https://kubernetes.default.svc")]))
    if spec["audiences"]?.array?.isEmpty == true { spec["audiences"] = .array([.string("https://kubernetes.default.svc")]) }
    spec.fill("expirationSeconds", .number("3600"))
    let bound = spec["boundObjectRef"]
    if bound?["kind"]?.string == "Pod", let name = bound?["name"]?.string {
      let pod = store.get(.init(type: "pod", namespace: key.namespace, name: name))
      guard let pod else { return reply(to: message, APIError.notFound("pods", name: name).content, session) }
      if let uid = bound?["uid"]?.string, uid != pod.uid {
        let why =
          "the UID in the bound object reference (\(uid)) does not match the UID in record. The object might have been deleted and then recreated"
        return reply(to: message, APIError.conflict("pods", name: name, why).content, session)
      }
    }
    let life = Int(spec["expirationSeconds"]?.int ?? 3600)
    guard life >= 600 else {
      let why =
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: \(life): "
        + "may not specify a duration less than 10 minutes"
      return reply(
        to: message,
        APIError(reason: .invalid, message: why, name: "", group: "authentication.k8s.io", kind: "TokenRequest").content, session)
    }
    let now = WireTime.seconds
    var kubernetes = JSONValue.members(("namespace", .string(key.namespace)))
    if let bound, bound["kind"]?.string == "Pod" {
      kubernetes["pod"] = .members(("name", bound["name"] ?? .null), ("uid", bound["uid"] ?? .null))
    }
    kubernetes["serviceaccount"] = .members(("name", .string(key.name)), ("uid", .string(account.uid)))
    let claims = JSONValue.members(
      ("aud", spec["audiences"] ?? .array([])), ("exp", .number(String(now + life))), ("iat", .number(String(now))),
      ("iss", .string("https://kubernetes.default.svc.cluster.local")), ("jti", .string(MessageID.make())),
      ("kubernetes.io", kubernetes), ("nbf", .number(String(now))),
      ("sub", .string("system:serviceaccount:\(key.namespace):\(key.name)")))
    guard let token = try? authority.serviceAccountToken(claims: claims) else { return }
    reply(
      to: message,
      .members(
        ("kind", .string("TokenRequest")), ("apiVersion", .string("authentication.k8s.io/v1")),
        (
          "metadata",
          .members(
            ("name", .string(key.name)), ("namespace", .string(key.namespace)), ("uid", .string(account.uid)),
            ("creationTimestamp", .string(WireTime.text(now))))
        ), ("spec", spec),
        ("status", .members(("token", .string(token)), ("expirationTimestamp", .string(WireTime.text(now + life)))))), session)
  }

  // MARK: Events

  private func event(_ message: Message, _ key: ObjectKey, _ content: JSONValue) {
    let stored = ObjectStore.Key(type: "event", namespace: key.namespace, name: key.name)
    switch message.operation {
    case .insert: _ = try? store.create(named(content, key, "Event", "v1"))
    case .update:
      _ = try? store.update(stored) { event in
        for member in content.object ?? [] where !["metadata", "kind", "apiVersion"].contains(member.key) {
          event[member.key] = member.value
        }
      }
    default:
      guard let patch = content["patchData"]?.string.flatMap({ try? JSONValue(json: $0) }) else { return }
      _ = try? store.update(stored) { event in
        let metadata = event["metadata"]
        event.merge(patch)
        // Identity and version are not the patch's to change.
        event["metadata"] = metadata
      }
    }
  }
}

/// What a Go client returns beside an error: an object with nothing in it.
enum EmptyObjects {
  private static let metadata = JSONValue.members(("creationTimestamp", .null))

  static let pod = JSONValue.members(
    ("metadata", metadata), ("spec", .members(("containers", .null))), ("status", .empty))
  static let lease = JSONValue.members(("metadata", metadata), ("spec", .empty))
  static let node = JSONValue.members(
    ("metadata", metadata), ("spec", .empty),
    (
      "status",
      .members(
        ("daemonEndpoints", .members(("kubeletEndpoint", .members(("Port", .number("0")))))),
        (
          "nodeInfo",
          .object(
            [
              "machineID", "systemUUID", "bootID", "kernelVersion", "osImage", "containerRuntimeVersion", "kubeletVersion",
              "kubeProxyVersion", "operatingSystem", "architecture",
            ].map { .init($0, .string("")) })
        ))
    ))
}
