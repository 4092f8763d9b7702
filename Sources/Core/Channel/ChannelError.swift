/// Why a message did not get through.
public enum ChannelError: Error, Sendable, Hashable, CustomStringConvertible {
  case unknownModule(ModuleName)
  case unknownGroup(ModuleGroup)
  case alreadyRegistered(ModuleName)
  /// The module was unregistered while somebody waited for it, or has failed and its mailbox is full.
  case unregistered(ModuleName)
  /// No answer came in time; `delivered` tells whether the request got into the module's mailbox.
  case timeout(module: ModuleName, messageID: String, limit: Duration, delivered: Bool)
  /// Another consumer receives from the mailbox now.
  case superseded(ModuleName)

  public var description: String {
    switch self {
    case .unknownModule(let module): "no module \"\(module)\" is registered"
    case .unknownGroup(let group): "no module is registered in the group \"\(group)\""
    case .alreadyRegistered(let module): "the module \"\(module)\" is registered already"
    case .unregistered(let module): "the module \"\(module)\" takes no messages"
    case .timeout(let module, let id, let limit, let delivered):
      delivered
        ? "the module \"\(module)\" did not answer the message \(id) within \(limit)"
        : "the mailbox of the module \"\(module)\" was full for \(limit); the message \(id) was not sent"
    case .superseded(let module): "another consumer receives the messages of the module \"\(module)\""
    }
  }
}
