import Core

/// How long things in the tunnel may take, and how big they may get. Tests are in more of a hurry, and content with less.
struct TunnelLimits: Sendable {
  /// Between pings.
  var ping: Duration = .seconds(5)
  /// How long the cloud may say nothing, not even answer pings.
  var mute: Duration = .seconds(20)
  /// The same before the cloud has said anything: it reads nothing before it has noted in the Node where the tunnel ends, and when that
  /// goes wrong it tries again for 2 min.
  var preparation: Duration = .seconds(150)
  /// Between tries to connect.
  var reconnection = Backoff(initial: .milliseconds(500), maximum: .seconds(3), jitter: 0.5)
  /// A tunnel that held for so long was a good one: the next try comes soon.
  var healthyAfter: Duration = .seconds(10)
  /// The node's certificate is looked for so often when nothing tells that it is there: people may put it there by hand.
  var certificateSearch: Duration = .seconds(60)
  /// The tunnel isn't opened before the cloud has the Node: it looks for it then, and next after 20 s. But a Node that nobody registers
  /// is not waited for any longer than this.
  var registration: Duration = .seconds(30)
  /// After the registration others write to the Node, too: the cloud's note collides with that, and is tried again after 20 s.
  var settling: Duration = .seconds(1)
  /// For what a session, or all of them, still have to say at the end.
  var goodbye: Duration = .seconds(2)

  /// Sessions at a time.
  var sessions = 1000
  /// Bytes from the cloud that wait for a session's end on the node; with more the session is ended.
  var backlog = 4 << 20
  /// The same for all sessions together; with more the one with the most is ended.
  var totalBacklog = 64 << 20
  /// With more waiting than this the tunnel is not read on for a while ...
  var heldBacklog = 1 << 20
  /// ... until so much is left, ...
  var resumedBacklog = 3 << 18
  /// ... or this long: who takes nothing in this time doesn't hold up others again.
  var patience: Duration = .milliseconds(250)
  /// Of a message from the cloud, bytes.
  var message = 4 << 20
}
