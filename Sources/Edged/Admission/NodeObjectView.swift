import Core
import KubernetesAPI
import Synchronization
import YAML

/// What the Node object says of this node, as the metadata store has it; until it is known, what the node registers with.
final class NodeObjectView: Sendable {
  private static let readDeadline: Duration = .seconds(5)

  private let name: String
  private let state: Mutex<NodeTraits>

  /// - Parameter registration: The Node with which this machine registers.
  init(name: String, registration: Node) {
    self.name = name
    state = Mutex(NodeTraits(registration, name: name))
  }

  var traits: NodeTraits { state.withLock { $0 } }

  /// Reads the Node object. Without one, all stays as it is.
  /// - Returns: false if the store isn't there to be asked.
  @discardableResult
  func read(_ client: MetadataClient) async -> Bool {
    do {
      _ = take(try await client.get(key, deadline: Self.readDeadline))
      return true
    } catch {
      return (error as? MetadataError)?.kind != .unavailable
    }
  }

  /// Reads the Node object as soon as the store is there.
  func readWhenPossible(_ client: MetadataClient) async {
    while !(await read(client)), !Task.isCancelled { try? await Task.sleep(for: .seconds(1)) }
  }

  /// Follows the Node object until the task is cancelled.
  /// - Parameter changed: called when something is new that decides on pods.
  func run(_ client: MetadataClient, changed: @Sendable () async -> Void) async {
    guard let watch = try? client.watch(key.type) else { return }
    defer { watch.end() }
    // After the beginning of the watch, so that nothing is missed.
    if let object = try? await client.get(key), take(object) { await changed() }
    for await change in watch where change.key == key && change.kind == .stored {
      if take(change.object) { await changed() }
    }
  }

  private var key: ObjectKey { ObjectKey(type: "node", name: name) }

  /// Returns whether anything is new.
  private func take(_ object: [UInt8]) -> Bool {
    guard let node: Node = try? JSONValue(json: object).decode() else { return false }
    let traits = NodeTraits(node, name: name)
    return state.withLock { state in
      defer { state = traits }
      return state != traits
    }
  }
}
