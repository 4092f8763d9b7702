import Core
import NIOCore
import Synchronization
import YAML

/// What cloudcore does between the API server and the nodes: brings changes of objects to the nodes that need them, and their requests
/// to the objects.
final class CloudCore: Sendable {
  let configuration: CloudSimulator.Configuration
  let authority: CertificateAuthority
  let store: ObjectStore
  let records: SyncRecords
  let transcript: Transcript
  let faults = LinkFaults()

  private let sessions = Mutex<[String: NodeSession]>([:])
  /// `namespace/type/name` of config maps and secrets, and the nodes on which a pod ever referred to them.
  private let locations = Mutex<[String: Set<String>]>([:])
  /// Called when something has changed that is kept over a restart.
  let onChange: @Sendable () -> Void
  /// Told when a node comes or goes, an object changes, or one is acknowledged.
  let progress = Broadcast<Void>()
  /// What nodes send for the router.
  let routed = Broadcast<(node: String, message: Message)>()

  init(
    configuration: CloudSimulator.Configuration, authority: CertificateAuthority, store: ObjectStore, records: SyncRecords,
    onChange: @escaping @Sendable () -> Void
  ) {
    self.configuration = configuration
    self.authority = authority
    self.store = store
    self.records = records
    self.onChange = onChange
    transcript = Transcript(limit: configuration.transcriptLimit)
    for pod in store.list("pod") where !pod.nodeName.isEmpty { note(referencesOf: pod) }
  }

  // MARK: Connections

  var connectedNodes: [String] { sessions.withLock { $0.keys.sorted() } }

  func session(of node: String) -> NodeSession? { sessions.withLock { $0[node] } }

  /// A node has connected; its earlier connection ends, and with it what waited there.
  func connected(_ session: NodeSession) {
    session.keepAlive()
    guard session.isServed else { return }
    let old = sessions.withLock { sessions in
      defer { sessions[session.node] = session }
      return sessions[session.node]
    }
    old?.end()
    progress.send(())
  }

  func disconnected(_ session: NodeSession) {
    session.end()
    sessions.withLock { if $0[session.node] === session { $0[session.node] = nil } }
    progress.send(())
  }

  /// What nodes have not acknowledged in its newest version.
  var unacknowledged: [CloudSimulator.Unacknowledged] {
    records.all.compactMap { record in
      let object = object(of: record)
      let newest = object?.uid == record.uid ? object?.resourceVersion : nil
      if newest == record.version { return nil }
      return .init(
        node: record.node, resource: record.resource, uid: record.uid, acknowledgedVersion: record.version, newestVersion: newest)
    }
  }

  private func object(of record: SyncRecords.Record) -> JSONValue? {
    store.get(
      .init(type: record.type, namespace: record.namespace == ObjectKey.clusterScope ? "" : record.namespace, name: record.name))
  }

  // MARK: Sending

  /// Sends an object to a node, or notes that the node lacks it.
  func send(_ operation: Message.Operation, _ type: String, _ object: JSONValue, to node: String) {
    let namespace = object.namespace.isEmpty ? ObjectKey.clusterScope : object.namespace
    let message = Message(
      header: .init(resourceVersion: object.resourceVersion),
      route: .init(source: "edgecontroller", group: "resource", operation: operation, resource: "\(namespace)/\(type)/\(object.name)"),
      content: object.jsonBytes())
    deliver(message, object, to: node)
  }

  func deliver(_ message: Message, _ content: JSONValue, to node: String) {
    guard AckRules.needsAck(message, content: content) else {
      session(of: node)?.send(message)
      return
    }
    let isDeletion = message.operation == .delete || content.isBeingDeleted
    let version = message.header.resourceVersion
    // What isn't an object with a version is never sent.
    guard message.route.group == "resource", !version.isEmpty || isDeletion, !content.uid.isEmpty,
      let key = ObjectKey(resource: message.resource)
    else { return }
    let record = SyncRecords.Record(
      node: node, uid: content.uid, namespace: key.namespace, type: key.type, name: key.name, version: version)
    let isResponse = message.operation == .response
    if !isDeletion, !isResponse {
      if let known = records.version(node: node, uid: record.uid) {
        guard UInt64(version) ?? 0 > known else { return }
      } else {
        var unseen = record
        unseen.version = "0"
        records.note(unseen)
        onChange()
      }
    }
    session(of: node)?.enqueue(.init(record: record, message: message, isDeletion: isDeletion, isResponse: isResponse))
  }

  func acknowledged(_ delivery: NodeSession.Delivery) {
    if delivery.message.operation == .delete {
      records.remove(node: delivery.record.node, uid: delivery.record.uid)
    } else {
      records.save(delivery.record)
    }
    onChange()
    progress.send(())
  }

  // MARK: Changes of objects

  /// Brings a change to the nodes that it is for.
  func changed(_ event: ObjectStore.Event) {
    onChange()
    defer { progress.send(()) }
    switch event.key.type {
    case "pod":
      let node = event.object.nodeName
      guard !node.isEmpty, hasNode(node) else { return }
      switch event.kind {
      case .added: send(event.object.isBeingDeleted ? .update : .insert, "pod", event.object, to: node)
      case .modified: send(.update, "pod", event.object, to: node)
      case .deleted: send(.delete, "pod", event.object, to: node)
      }
      if event.kind != .deleted { note(referencesOf: event.object) }
    case "configmap", "secret":
      let nodes = locations.withLock { $0["\(event.key.namespace)/\(event.key.type)/\(event.key.name)"] ?? [] }
      for node in nodes.sorted() {
        switch event.kind {
        case .added: send(event.key.type == "secret" ? .update : .insert, event.key.type, event.object, to: node)
        case .modified: send(.update, event.key.type, event.object, to: node)
        case .deleted: send(.delete, event.key.type, event.object, to: node)
        }
      }
    case "node":
      if event.kind == .deleted {
        session(of: event.key.name)?.end()
        records.removeAll(node: event.key.name)
      } else {
        // Controllers touch a new node before it can be sent: its first version is never seen.
        if event.kind == .added, let newest = store.get(event.key), newest.resourceVersion != event.object.resourceVersion { return }
        send(.update, "node", event.object, to: event.key.name)
      }
    case "device": deviceChanged(event)
    default: break
    }
  }

  func hasNode(_ name: String) -> Bool { store.get(.init(type: "node", namespace: "", name: name)) != nil }

  private func note(referencesOf pod: JSONValue) {
    let references = PodDefaults.references(of: pod)
    locations.withLock { locations in
      for name in references.configMaps { locations["\(pod.namespace)/configmap/\(name)", default: []].insert(pod.nodeName) }
      for name in references.secrets { locations["\(pod.namespace)/secret/\(name)", default: []].insert(pod.nodeName) }
    }
  }

  // MARK: Comparing

  /// Sends again what nodes have not, or not in its newest version: the only thing that brings objects to a node that comes back.
  func compare() {
    for node in connectedNodes {
      for record in records.of(node: node) {
        if let object = object(of: record), object.uid == record.uid {
          if UInt64(object.resourceVersion) ?? 0 > UInt64(record.version) ?? 0 { send(.update, record.type, object, to: node) }
          continue
        }
        var metadata = JSONValue.members(("name", .string(record.name)))
        if record.namespace != ObjectKey.clusterScope { metadata["namespace"] = .string(record.namespace) }
        metadata["uid"] = .string(record.uid)
        let gone = JSONValue.members(("metadata", metadata))
        let message = Message(
          route: .init(source: "edgecontroller", group: "resource", operation: .delete, resource: record.resource),
          content: gone.jsonBytes())
        deliver(message, gone, to: node)
      }
    }
  }

  // MARK: Scheduling

  /// Binds pods without a node, if there is exactly one node that they may run on.
  func schedule() {
    let pods = store.list("pod").filter { $0.nodeName.isEmpty && !$0.isBeingDeleted }
    guard !pods.isEmpty else { return }
    let nodes = store.list("node")
    for pod in pods {
      let selector = pod.at("spec", "nodeSelector")?.object ?? []
      let fitting = nodes.filter { node in selector.allSatisfy { node.at("metadata", "labels", $0.key) == $0.value } }
      guard fitting.count == 1, let node = fitting.first else { continue }
      _ = try? store.update(ObjectStore.key(of: pod), countsGeneration: false) { pod in
        guard pod.nodeName.isEmpty else { return }
        pod.set("spec", "nodeName", to: .string(node.name))
        let conditions = (pod.at("status", "conditions")?.array ?? []).filter { $0["type"]?.string != "PodScheduled" }
        let scheduled = JSONValue.members(
          ("type", .string("PodScheduled")), ("status", .string("True")), ("lastProbeTime", .null),
          ("lastTransitionTime", .string(WireTime.text())))
        pod.set("status", "conditions", to: .array(conditions + [scheduled]))
      }
    }
  }
}
