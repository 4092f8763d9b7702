import Core
import YAML

/// Which messages of the cloud wait for an acknowledgement, and what it looks like.
enum Acknowledgement {
  private static let content = Array("\"OK\"".utf8)
  /// Replies with objects of these types are delivered reliably, as pushed objects are.
  private static let acknowledgedReplies: Set<String> = [
    "configmap", "secret", "persistentvolume", "persistentvolumeclaim", "volumeattachment",
  ]

  /// Says that what `message` brought is safe.
  static func of(_ message: Message) -> Message {
    Message.reply(to: message, content: content)
  }

  /// Whether the cloud repeats a reply until it is acknowledged. More acknowledgements than needed do no harm.
  static func isDue(forReply message: Message, of type: String) -> Bool {
    message.operation == .response && acknowledgedReplies.contains(type)
  }
}
