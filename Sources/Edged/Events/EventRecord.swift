import KubernetesAPI

/// An event in few bytes, as it is kept.
struct EventRecord: Sendable {
  let namespace: String
  let pod: String
  let uid: String
  let resourceVersion: String?
  let fieldPath: String?
  let type: EventType
  let reason: String
  let message: String
  let first: Timestamp
  var last: Timestamp
  var count: Int32 = 1
  /// Makes the event's name unique: nanoseconds of its first time, or a little later.
  var serial: Int64

  init(
    _ pod: Pod, _ fieldPath: String?, _ type: EventType, _ reason: String, _ message: String, at time: Timestamp
  ) {
    self.namespace = pod.namespace
    self.pod = pod.name
    self.uid = pod.uid
    self.resourceVersion = pod.metadata.resourceVersion
    self.fieldPath = fieldPath
    self.type = type
    self.reason = reason
    self.message = message
    self.first = time
    self.last = time
    self.serial = time.nanoseconds
  }

  func isSame(as other: EventRecord) -> Bool {
    uid == other.uid && reason == other.reason && type == other.type && fieldPath == other.fieldPath && message == other.message
      && pod == other.pod && namespace == other.namespace
  }

  /// As core/v1 has it.
  func event(node: String) -> Event {
    var object = ObjectReference(kind: "Pod", namespace: namespace, name: pod, uid: uid, fieldPath: fieldPath)
    object.apiVersion = "v1"
    object.resourceVersion = resourceVersion
    var event = Event(
      metadata: ObjectMeta(name: "\(pod).\(String(serial, radix: 16))", namespace: namespace), involvedObject: object)
    event.reason = reason
    event.message = message
    event.source = EventSource(component: "kubelet", host: node)
    event.firstTimestamp = first
    event.lastTimestamp = last
    event.count = count
    event.type = type.rawValue
    event.reportingComponent = "kubelet"
    event.reportingInstance = node
    return event
  }
}
