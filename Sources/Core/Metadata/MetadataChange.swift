/// A change of an object in the metadata store, after it was stored.
public struct MetadataChange: Sendable, Hashable {
  public enum Kind: Sendable, Hashable { case stored, removed }

  public var kind: Kind
  public var key: ObjectKey
  /// The object's JSON; of a removal, what the cloud said with it: the last state or only name, namespace and UID.
  public var object: [UInt8]

  public init(kind: Kind, key: ObjectKey, object: [UInt8]) {
    self.kind = kind
    self.key = key
    self.object = object
  }
}

extension ModuleGroup {
  /// Those who watch the objects of a type.
  public static func watch(_ type: String) -> ModuleGroup { ModuleGroup("watch/\(type)") }
  /// Those who want to know when the connection to the cloud comes and goes.
  public static let connection = ModuleGroup("connection")
  /// Those who want to know which Node the cloud has for us.
  public static let registration = ModuleGroup("registration")
}

/// What EdgeHub tells when the connection to the cloud comes or goes.
public enum CloudConnection: String, Sendable, Hashable {
  case connected = "cloud_connected"
  case disconnected = "cloud_disconnected"

  public static let resource = "node/connection"

  public var message: Message {
    Message(
      route: .init(source: "edgehub", group: ModuleGroup.connection.rawValue, operation: .connect, resource: Self.resource),
      content: Array("\"\(rawValue)\"".utf8))
  }

  /// How the connection is now, as EdgeHub says; nil if it doesn't say.
  ///
  /// - Parameter module: who asks.
  public static func find(_ channel: ChannelContext, for module: ModuleName) async -> CloudConnection? {
    let question = Message(route: .init(source: module.rawValue, group: ModuleGroup.hub.rawValue, operation: .query, resource: "cloud"))
    guard let answer = try? await channel.request(question, to: .websocket, timeout: .seconds(10)),
      let isConnected = (try? answer.decodeContent(Summary.self))?.connected
    else { return nil }
    return isConnected ? .connected : .disconnected
  }

  private struct Summary: Decodable {
    var connected: Bool
  }

  /// Nil if a message is about something else.
  public init?(_ message: Message) {
    guard message.operation == .connect, message.resource == Self.resource else { return nil }
    self.init(rawValue: String(decoding: message.payload, as: UTF8.self))
  }
}

/// What Edged tells when it has found or made the Node in the cloud, and told its status.
public struct NodeRegistration: Sendable, Hashable {
  public static let resource = "node/registration"

  /// The UID of the Node.
  public var uid: String

  public init(uid: String) { self.uid = uid }

  public var message: Message {
    Message(
      route: .init(
        source: ModuleName.edged.rawValue, group: ModuleGroup.registration.rawValue, operation: .insert, resource: Self.resource),
      content: Array(uid.utf8))
  }

  /// Nil if a message is about something else.
  public init?(_ message: Message) {
    guard message.operation == .insert, message.resource == Self.resource else { return nil }
    uid = String(decoding: message.payload, as: UTF8.self)
  }
}
