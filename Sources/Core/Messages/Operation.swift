extension Message {
  /// What a message asks for or tells: the `operation` of its route.
  public struct Operation: RawRepresentable, Sendable, Hashable, Codable, CustomStringConvertible, ExpressibleByStringLiteral {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public init(_ rawValue: String) { self.rawValue = rawValue }
    public init(stringLiteral value: String) { rawValue = value }
    public var description: String { rawValue }

    // Objects.
    public static let insert = Operation("insert")
    public static let delete = Operation("delete")
    public static let query = Operation("query")
    public static let update = Operation("update")
    public static let patch = Operation("patch")
    public static let upload = Operation("upload")
    public static let response = Operation("response")
    public static let error = Operation("error")
    public static let unholdUpgrade = Operation("unhold-upgrade")
    // The connection to the cloud.
    public static let keepalive = Operation("keepalive")
    public static let connect = Operation("connect")
    public static let connected = Operation("connected")
    public static let disconnected = Operation("disconnected")
    // Buses.
    public static let subscribe = Operation("subscribe")
    public static let unsubscribe = Operation("unsubscribe")
    public static let publish = Operation("publish")
    public static let message = Operation("message")
    public static let getResult = Operation("get_result")
    public static let start = Operation("start")
    public static let stop = Operation("stop")
    public static let get = Operation("get")
    public static let applicationResponse = Operation("applicationResponse")
    // Tasks on the node.
    public static let upgrade = Operation("upgrade")
    public static let prepull = Operation("prepull")
    public static let updateNodeActionStatus = Operation("UpdateNodeActionStatus")
    // Volumes of CSI drivers.
    public static let createVolume = Operation("createvolume")
    public static let deleteVolume = Operation("deletevolume")
    public static let controllerPublishVolume = Operation("controllerpublishvolume")
    public static let controllerUnpublishVolume = Operation("controllerunpublishvolume")
  }
}
