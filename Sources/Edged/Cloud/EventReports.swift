import Core
import KubernetesAPI
import Logging
import YAML

/// Passes events to the cloud, if the configuration wants them there.
struct EventReports: Sendable {
  let client: MetadataClient
  let events: EventRecorder
  let logger: Logger

  func run() async {
    for await event in events.stream() {
      do {
        let content = try JSONValue(encoding: event).jsonBytes()
        try await client.owe(
          event: content, namespace: event.metadata.namespace ?? "default", name: event.metadata.name ?? "", isNew: event.count == 1)
      } catch is CancellationError {
        return
      } catch {
        logger.debug("an event was lost", metadata: ["error": "\(error)"])
      }
    }
  }
}
