extension CloudSimulator {
  /// How the simulated cloud is set up; the defaults are those of the real one.
  public struct Configuration: Sendable {
    /// The IPv4 address to listen on and to put into the server's certificate.
    public var host = "127.0.0.1"
    /// More IPv4 addresses that the server's certificate is good for.
    public var advertisedAddresses: [String] = []
    /// Where certificates are handed out; 0 is any free port.
    public var httpsPort = 0
    /// Where nodes connect; 0 is any free port.
    public var websocketPort = 0
    /// Where nodes open their tunnels; 0 is any free port.
    public var tunnelPort = 0
    /// How long an acknowledgement may take before the same message is sent again.
    public var ackTimeout: Duration = .seconds(5)
    /// How often a message is sent before the next object gets its turn.
    public var ackTries = 5
    /// A node that sends no keepalive for so long is cut off.
    public var keepaliveTimeout: Duration = .seconds(30)
    /// How often the versions that nodes have acknowledged are compared with those that there are.
    public var syncInterval: Duration = .seconds(5)
    /// Life of the certificates that nodes get.
    public var certificateLife: Duration = .seconds(365 * 86_400)
    /// Life of join tokens.
    public var tokenLife: Duration = .seconds(24 * 3600)
    /// Whether pods get a volume with their service account's token, as API servers do unless a pod says otherwise.
    public var mountsServiceAccountTokens = true
    /// Whether a connection is only served if its certificate is that of the node it claims to be. Off by default, as in the real cloud;
    /// who fails stays connected but gets nothing.
    public var checksNodeNames = false
    /// Entries that the transcript keeps; the oldest go first.
    public var transcriptLimit = 50_000
    /// Where the authority, the objects and the ports are kept, so that a restart is the same cloud; nil keeps nothing.
    public var stateDirectory: String?

    public init() {}
  }
}

/// What a simulated cloud could not do.
public struct CloudSimulatorError: Error, Sendable, CustomStringConvertible {
  public var description: String

  public init(_ description: String) { self.description = description }
}
