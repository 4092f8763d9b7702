import Core
import KubernetesAPI
import YAML

extension NodeReporter {
  private static let tries = 5

  // MARK: Registration

  /// Makes one try to have the Node in the cloud.
  /// - Returns: whether it is there now.
  func register(connection: Int) async -> Bool {
    do {
      try await registerOnce()
      registrationProblem = nil
      return true
    } catch let error as MetadataError where error.kind == .offline {
      link.lost(connection: connection)
    } catch is CancellationError {
    } catch {
      let problem = "\(error)"
      if registrationProblem != problem {
        logger.warning("the node could not be registered; trying again", metadata: ["node": "\(name)", "error": "\(problem)"])
      }
      registrationProblem = problem
    }
    return false
  }

  private func registerOnce() async throws {
    let status = await observe(fully: true)
    guard configuration.tailoredKubeletConfig.registerNode else {
      try await take(try await client.get(key), isNew: false)
      return
    }
    let node = NodeObject.registration(name: name, configuration: configuration, architecture: system.architecture, status: status)
    var encoded = try JSONValue(encoding: node)
    // The cloud reads the object without them, as it writes it.
    encoded["apiVersion"] = nil
    encoded["kind"] = nil
    do {
      try await take(try await client.create(key, encoded.jsonBytes()), isNew: true)
    } catch let error as MetadataError where error.kind == .alreadyExists {
      try await take(try await client.get(key), isNew: false)
    }
  }

  private func take(_ answer: [UInt8], isNew: Bool) async throws {
    let value = try JSONValue(json: answer)
    let node: Node = try value.decode()
    guard let uid = node.metadata.uid, !uid.isEmpty else {
      throw MetadataError(.refused, "the cloud's answer about node \(name) has no uid")
    }
    if !isNew { try await bringUpToDate(value, node) }
    let before = node.status?.nodeInfo?.bootID ?? ""
    if !before.isEmpty, before != system.bootID, !system.bootID.isEmpty {
      events(.warning, "Rebooted", "Node \(name) has been rebooted, boot id: \(system.bootID)")
    }
    adopt(node)
    logger.info(isNew ? "the node is registered" : "the node is registered already", metadata: ["node": "\(name)", "uid": "\(uid)"])
  }

  /// Gives a Node that was there already the labels and annotations that it lacks; its status follows with the first report.
  private func bringUpToDate(_ value: JSONValue, _ node: Node) async throws {
    let missing = NodeObject.missing(
      from: node.metadata, name: name, configuration: configuration, architecture: system.architecture)
    guard !missing.labels.isEmpty || !missing.annotations.isEmpty else { return }
    var value = value
    var metadata = value["metadata"] ?? .object([])
    for (field, additions) in [("labels", missing.labels), ("annotations", missing.annotations)] where !additions.isEmpty {
      var map = metadata[field] ?? .object([])
      for (key, text) in additions.sorted(by: { $0.key < $1.key }) { map[key] = .string(text) }
      metadata[field] = map
    }
    value["metadata"] = metadata
    do {
      _ = try await client.update(key, value.jsonBytes())
    } catch let error as MetadataError where ![.offline, .conflict, .notFound].contains(error.kind) {
      // The node is worth more than a label.
      logger.warning("labels of the node could not be set", metadata: ["node": "\(name)", "error": "\(error)"])
    }
  }

  // MARK: Status

  /// Computes the status and tells the cloud.
  /// - Parameter always: also if nothing has changed.
  func report(always: Bool, uid: String, connection: Int) async {
    let status = await observe(fully: always)
    if !always, let known, !NodeStatusPatch.differs(status, from: known) { return }
    var problem = ""
    for _ in 0..<Self.tries {
      do {
        let patch = try NodeStatusPatch.patch(to: status, known: known)
        let answer = try await client.patch(ObjectKey(type: "nodepatch", name: name), patch.jsonBytes())
        if let node = try? JSONValue(json: answer).decode(Node.self) { adopt(node) } else { known = status }
        if reportProblem != nil { logger.info("the node's status reaches the cloud again") }
        reportProblem = nil
        confirmed = clock.now()
        if announced != uid {
          announced = uid
          await client.announce(NodeRegistration(uid: uid))
        }
        return
      } catch let error as MetadataError {
        problem = error.message
        switch error.kind {
        case .offline:
          confirmed = nil
          link.lost(connection: connection)
          return
        case .notFound:
          forget(uid: uid)
          return
        default: continue
        }
      } catch is CancellationError {
        return
      } catch {
        problem = "\(error)"
      }
    }
    confirmed = nil
    if reportProblem != problem { logger.warning("the node's status could not be told", metadata: ["error": "\(problem)"]) }
    reportProblem = problem
  }
}
