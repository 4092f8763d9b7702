import Glibc

/// What modules pass to each other, and what the agent and the cloud pass to each other.
///
/// Copying is cheap: a message is one reference, copied on the first write. The content stays the JSON that arrived, so that an object
/// goes through the agent without losing a field that nothing here knows.
public struct Message: Sendable {
  /// Identity and relation of a message.
  public struct Header: Sendable, Hashable {
    /// A random UUID in lower case.
    public var id: String
    /// The id of the message that this one answers; empty if it answers none.
    public var parentID: String
    /// Milliseconds since 1970 when it was made.
    public var timestamp: Int64
    /// The Kubernetes resource version of the object in the content; empty without one.
    public var resourceVersion: String
    /// Whether the sender waits for an answer; only inside the process.
    public var sync: Bool

    public init(
      id: String = MessageID.make(), parentID: String = "", timestamp: Int64 = Header.now, resourceVersion: String = "", sync: Bool = false
    ) {
      self.id = id
      self.parentID = parentID
      self.timestamp = timestamp
      self.resourceVersion = resourceVersion
      self.sync = sync
    }

    /// Milliseconds since 1970.
    public static var now: Int64 {
      var time = timespec()
      clock_gettime(CLOCK_REALTIME, &time)
      return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
  }

  /// From where, to which group, and about what.
  public struct Route: Sendable, Hashable {
    /// The sending module, or the sending part of the cloud.
    public var source: String
    /// The receiving group; empty if none is meant.
    public var group: String
    public var operation: Operation
    /// What it is about, e.g. `default/pod/nginx`.
    public var resource: String

    public init(source: String, group: String = "", operation: Operation, resource: String) {
      self.source = source
      self.group = group
      self.operation = operation
      self.resource = resource
    }
  }

  private final class Storage: Sendable {
    let header: Header
    let route: Route
    let content: [UInt8]

    init(header: Header, route: Route, content: [UInt8]) {
      self.header = header
      self.route = route
      self.content = content
    }
  }

  private var storage: Storage

  /// The content `null`.
  public static let noContent: [UInt8] = Array("null".utf8)

  /// - Parameter content: JSON in UTF-8.
  public init(header: Header = Header(), route: Route, content: [UInt8] = Message.noContent) {
    storage = Storage(header: header, route: route, content: content)
  }

  public var header: Header {
    get { storage.header }
    set { storage = Storage(header: newValue, route: storage.route, content: storage.content) }
  }

  public var route: Route {
    get { storage.route }
    set { storage = Storage(header: storage.header, route: newValue, content: storage.content) }
  }

  /// JSON in UTF-8, `null` if there is none.
  public var content: [UInt8] {
    get { storage.content }
    set { storage = Storage(header: storage.header, route: storage.route, content: newValue) }
  }

  public var id: String { storage.header.id }
  public var parentID: String { storage.header.parentID }
  public var operation: Operation { storage.route.operation }
  public var resource: String { storage.route.resource }

  /// An answer to `request`: its parent is the request, about the same resource.
  ///
  /// - Parameter source: who answers; nil names the request's source, as KubeEdge does.
  public static func reply(
    to request: Message, from source: ModuleName? = nil, operation: Operation = .response, content: [UInt8] = Message.noContent
  ) -> Message {
    Message(
      header: Header(parentID: request.id),
      route: Route(
        source: source?.rawValue ?? request.route.source, group: request.route.group, operation: operation, resource: request.resource),
      content: content)
  }
}

extension Message: Hashable {
  public static func == (a: Message, b: Message) -> Bool {
    a.storage === b.storage
      || a.storage.header == b.storage.header && a.storage.route == b.storage.route && a.storage.content == b.storage.content
  }

  public func hash(into hasher: inout Hasher) { hasher.combine(storage.header.id) }
}
