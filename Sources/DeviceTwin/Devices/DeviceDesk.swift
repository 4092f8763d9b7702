import Core

/// Takes what comes in about devices, and passes on what follows: publications to EventBus, debts to the reporter.
struct DeviceDesk: Sendable {
  let book: DeviceBook
  let reporter: CloudReporter
  let channel: ChannelContext
  let window: DeviceWindow

  /// Returns when what follows is on its way, with what is published.
  @discardableResult
  func take(_ events: [DeviceBook.Event]) async -> [DeviceBook.Publication] {
    let outcome = await book.take(events)
    if !outcome.indebted.isEmpty { reporter.note(outcome.indebted) }
    window.changed(outcome.changed)
    for publication in outcome.publications {
      let message = Message(
        route: .init(
          source: ModuleName.twin.rawValue, group: ModuleGroup.bus.rawValue, operation: .publish, resource: publication.topic),
        content: publication.payload)
      // Without EventBus nobody listens.
      do { try await channel.send(message, to: .eventBus) } catch { break }
    }
    return outcome.publications
  }
}
