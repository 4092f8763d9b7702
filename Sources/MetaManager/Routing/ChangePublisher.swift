import Core

/// Tells those who watch a type of objects what changed.
struct ChangePublisher: Sendable {
  let channel: ChannelContext

  /// Waits for watchers whose mailbox is full.
  func publish(_ change: MetadataChange) async {
    let group = ModuleGroup.watch(change.key.type)
    guard !channel.members(of: group).isEmpty else { return }
    let message = Message(
      route: .init(
        source: ModuleName.metaManager.rawValue, group: group.rawValue, operation: change.kind == .stored ? .update : .delete,
        resource: change.key.resource),
      content: change.object)
    // Nobody watches any more, or the agent stops.
    try? await channel.send(message, toGroup: group)
  }
}
