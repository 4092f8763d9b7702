/// The name of a module: of its mailbox, and the source of its messages on the wire.
public struct ModuleName: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible, ExpressibleByStringLiteral {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public init(_ rawValue: String) { self.rawValue = rawValue }
  public init(stringLiteral value: String) { rawValue = value }
  public var description: String { rawValue }

  public static let edged = ModuleName("edged")
  public static let metaManager = ModuleName("metamanager")
  /// EdgeHub.
  public static let websocket = ModuleName("websocket")
  public static let twin = ModuleName("twin")
  public static let eventBus = ModuleName("eventbus")
  public static let serviceBus = ModuleName("servicebus")
  public static let edgeMesh = ModuleName("edgemesh")
  public static let edgeStream = ModuleName("edgestream")
  public static let taskManager = ModuleName("taskmanager")
  public static let metaServer = ModuleName("metaserver")
  /// What tests put in.
  public static let testManager = ModuleName("testManager")
}

/// A group of modules: what a message is addressed to when the sender doesn't care who of them takes it.
public struct ModuleGroup: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible, ExpressibleByStringLiteral {
  public let rawValue: String
  public init(rawValue: String) { self.rawValue = rawValue }
  public init(_ rawValue: String) { self.rawValue = rawValue }
  public init(stringLiteral value: String) { rawValue = value }
  public var description: String { rawValue }

  public static let bus = ModuleGroup("bus")
  public static let hub = ModuleGroup("hub")
  public static let twin = ModuleGroup("twin")
  public static let meta = ModuleGroup("meta")
  public static let edged = ModuleGroup("edged")
  public static let user = ModuleGroup("user")
  public static let mesh = ModuleGroup("mesh")
  public static let edgeStream = ModuleGroup("edgestream")
  public static let taskManager = ModuleGroup("taskmanager")
}
