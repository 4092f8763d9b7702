/// Something wrong with a manifest file, found before any engine was asked.
public struct ManifestProblem: Codable, Sendable, Hashable {
  public var file: String
  public var line: Int?
  /// `namespace/name`, when it is known.
  public var pod: String?
  /// `spec.containers[0].ports`, when one field is to blame.
  public var field: String?
  public var message: String

  public init(file: String, line: Int? = nil, pod: String? = nil, field: String? = nil, message: String) {
    self.file = file
    self.line = line
    self.pod = pod
    self.field = field
    self.message = message
  }

  /// `web.yaml:14: spec.containers[0].ports: …`
  public var text: String {
    let place = line.map { "\(file):\($0)" } ?? file
    return [place, field, message].compactMap { $0 }.joined(separator: ": ")
  }
}

/// An image on the node.
public struct ImageSummary: Codable, Sendable, Hashable {
  public var id: String
  public var tags: [String]
  public var digests: [String]
  /// Bytes.
  public var size: UInt64
  public var pinned: Bool

  public init(id: String, tags: [String], digests: [String], size: UInt64, pinned: Bool) {
    self.id = id
    self.tags = tags
    self.digests = digests
    self.size = size
    self.pinned = pinned
  }
}

/// A module of the agent and how it is.
public struct ModuleSummary: Codable, Sendable, Hashable {
  public var name: String
  public var group: String
  public var state: String
  /// RFC 3339.
  public var since: String?
  public var restarts: Int
  public var lastError: String?
  /// Messages that wait in its mailbox.
  public var waiting: Int?

  public init(name: String, group: String, state: String, since: String?, restarts: Int, lastError: String?, waiting: Int?) {
    self.name = name
    self.group = group
    self.state = state
    self.since = since
    self.restarts = restarts
    self.lastError = lastError
    self.waiting = waiting
  }
}

/// A message on the agent's channel context, as seen by a tap.
public struct MessageSummary: Codable, Sendable, Hashable {
  /// RFC 3339 with milliseconds.
  public var time: String
  public var id: String
  public var parentID: String?
  public var source: String
  /// The receiving module or group.
  public var destination: String
  public var operation: String
  public var resource: String
  /// Bytes of the content.
  public var size: Int
  /// How many messages this tap has lost so far because its reader was slow.
  public var lost: Int

  public init(
    time: String, id: String, parentID: String?, source: String, destination: String, operation: String, resource: String, size: Int,
    lost: Int
  ) {
    self.time = time
    self.id = id
    self.parentID = parentID
    self.source = source
    self.destination = destination
    self.operation = operation
    self.resource = resource
    self.size = size
    self.lost = lost
  }
}
