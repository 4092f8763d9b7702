import Core
import KubernetesAPI
import Logging
import YAML

/// Renews the node's lease, by which the cloud knows that the node is alive.
actor NodeLease {
  static let namespace = "kube-node-lease"
  private static let tries = 5

  private let client: MetadataClient
  private let name: String
  private let duration: Int32
  private let link: NodeLink
  private let clock: ProbeClock
  private let jitter: @Sendable () -> Double
  private let logger: Logger
  /// As the cloud gave it last, with all that is in it.
  private var held: JSONValue?
  private var isFailing = false

  /// - Parameters:
  ///   - duration: Seconds that the lease holds; it is renewed four times as often.
  ///   - jitter: What is added to the time between renewals, as a part of it.
  init(
    client: MetadataClient, name: String, duration: Int32, link: NodeLink, clock: ProbeClock,
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...0.04) }, logger: Logger
  ) {
    self.client = client
    self.name = name
    self.duration = duration
    self.link = link
    self.clock = clock
    self.jitter = jitter
    self.logger = logger
  }

  /// Renews until the task is cancelled: at once on each new connection and for each new Node, never without a connection.
  func run() async {
    var attempted: NodeLink.State?
    var next = clock.now()
    let interval = Duration.seconds(1) * Int(max(1, duration)) / 4
    while !Task.isCancelled {
      let state = link.state
      guard state.isConnected, let uid = state.uid else {
        await link.leaseWakeup.wait(until: nil)
        continue
      }
      if clock.now() >= next || attempted?.connection != state.connection || attempted?.uid != uid {
        attempted = state
        await renew(owner: uid, connection: state.connection)
        next = clock.now() + interval * (1 + jitter())
      }
      await link.pause(link.leaseWakeup, until: next, asLongAs: state, clock, tolerance: .milliseconds(200))
    }
  }

  private enum Step {
    case ask, create
    case renew(JSONValue)
  }

  private func renew(owner uid: String, connection: Int) async {
    var step = held.map { Step.renew($0) } ?? .ask
    var problem = ""
    held = nil
    for _ in 0..<Self.tries {
      do {
        switch step {
        case .renew(let lease): try await keep(client.update(key, renewed(lease, owner: uid).jsonBytes()))
        case .create: try await keep(client.create(key, JSONValue(encoding: fresh(owner: uid)).jsonBytes()))
        case .ask:
          let lease = try JSONValue(json: try await client.get(key))
          step = lease.object == nil ? .create : .renew(lease)
          continue
        }
        if isFailing { logger.info("the node's lease is renewed again") }
        isFailing = false
        return
      } catch let error as MetadataError {
        problem = error.message
        switch error.kind {
        case .offline:
          if case .renew(let lease) = step { held = lease }
          link.lost(connection: connection)
          return
        case .notFound: step = .create
        case .conflict, .alreadyExists: step = .ask
        case .timeout, .refused, .unavailable: break
        }
      } catch is CancellationError {
        return
      } catch {
        problem = "\(error)"
        step = .ask
      }
    }
    if case .renew(let lease) = step { held = lease }
    if !isFailing { logger.warning("the node's lease could not be renewed", metadata: ["error": "\(problem)"]) }
    isFailing = true
  }

  private var key: ObjectKey { ObjectKey(namespace: Self.namespace, type: "lease", name: name) }

  /// An answer without the object leaves nothing to reuse: the next renewal asks for it.
  private func keep(_ answer: [UInt8]) {
    let lease = try? JSONValue(json: answer)
    held = lease?.object == nil ? nil : lease
  }

  private func fresh(owner uid: String) -> Lease {
    var metadata = ObjectMeta(name: name, namespace: Self.namespace)
    metadata.ownerReferences = [owner(uid)]
    var spec = LeaseSpec()
    spec.holderIdentity = name
    spec.leaseDurationSeconds = duration
    spec.renewTime = MicroTime(clock.wall())
    var lease = Lease(metadata: metadata, spec: spec)
    // The cloud reads the object without them, as it writes it.
    lease.apiVersion = nil
    lease.kind = nil
    return lease
  }

  private func renewed(_ lease: JSONValue, owner uid: String) throws -> JSONValue {
    var lease = lease
    var spec = lease["spec"] ?? .object([])
    spec["holderIdentity"] = .string(name)
    spec["leaseDurationSeconds"] = .number("\(duration)")
    spec["renewTime"] = .string(MicroTime(clock.wall()).description)
    lease["spec"] = spec
    var metadata = lease["metadata"] ?? .object([])
    var owners = metadata["ownerReferences"]?.array ?? []
    if !owners.contains(where: { $0["uid"]?.string == uid }) {
      // An owner that is gone would take the lease with it.
      owners.removeAll { $0["kind"]?.string == "Node" }
      owners.append(try JSONValue(encoding: owner(uid)))
      metadata["ownerReferences"] = .array(owners)
    }
    lease["metadata"] = metadata
    return lease
  }

  private func owner(_ uid: String) -> OwnerReference { OwnerReference(apiVersion: "v1", kind: "Node", name: name, uid: uid) }
}
