/// Something that happened to an object, for people (core/v1 Event).
public struct Event: Codable, Sendable, Hashable {
  public var apiVersion: String?
  public var kind: String?
  public var metadata: ObjectMeta
  public var involvedObject: ObjectReference
  public var reason: String?
  public var message: String?
  public var source: EventSource?
  public var firstTimestamp: Timestamp?
  public var lastTimestamp: Timestamp?
  public var count: Int32?
  /// `Normal` or `Warning`.
  public var type: String?
  public var reportingComponent: String?
  public var reportingInstance: String?
  public init(metadata: ObjectMeta, involvedObject: ObjectReference) {
    self.apiVersion = "v1"
    self.kind = "Event"
    self.metadata = metadata
    self.involvedObject = involvedObject
  }
}

public struct EventSource: Codable, Sendable, Hashable {
  public var component: String?
  public var host: String?
  public init(component: String? = nil, host: String? = nil) {
    self.component = component
    self.host = host
  }
}

public struct ObjectReference: Codable, Sendable, Hashable {
  public var kind: String?
  public var namespace: String?
  public var name: String?
  public var uid: String?
  public var apiVersion: String?
  public var resourceVersion: String?
  public var fieldPath: String?
  public init(kind: String, namespace: String? = nil, name: String, uid: String? = nil, fieldPath: String? = nil) {
    self.kind = kind
    self.namespace = namespace
    self.name = name
    self.uid = uid
    self.fieldPath = fieldPath
  }
}
