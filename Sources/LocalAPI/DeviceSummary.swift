/// A device of the node.
public struct DeviceSummary: Codable, Sendable, Hashable {
  /// `<namespace>/<name>`
  public var id: String
  /// As the device said it last; empty if it never did.
  public var state: String
  /// RFC 3339; empty unless the state is a good one.
  public var lastOnline: String
  /// The protocol of its Device object; nil without one.
  public var protocolName: String?
  /// The mapper that speaks for it; nil if none has registered.
  public var mapper: String?
  /// Whether the cloud has still to be told something.
  public var isOwed: Bool
  public var twins: [TwinSummary]

  public init(
    id: String, state: String, lastOnline: String, protocolName: String?, mapper: String?, isOwed: Bool, twins: [TwinSummary]
  ) {
    self.id = id
    self.state = state
    self.lastOnline = lastOnline
    self.protocolName = protocolName
    self.mapper = mapper
    self.isOwed = isOwed
    self.twins = twins
  }
}

/// A property of a device.
public struct TwinSummary: Codable, Sendable, Hashable {
  public struct Value: Codable, Sendable, Hashable {
    public var value: String
    /// RFC 3339: when the node took it.
    public var time: String
    /// How often the cloud and the edge changed it: `3/17`.
    public var version: String

    public init(value: String, time: String, version: String) {
      self.value = value
      self.time = time
      self.version = version
    }
  }

  public var name: String
  public var type: String
  public var expected: Value?
  public var actual: Value?
  /// What the cloud's Device object wishes; nil if nothing.
  public var desired: String?

  public init(name: String, type: String, expected: Value?, actual: Value?, desired: String?) {
    self.name = name
    self.type = type
    self.expected = expected
    self.actual = actual
    self.desired = desired
  }
}
