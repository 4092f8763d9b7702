import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// A TLS listener that can be closed with all its connections and opened again on the same port.
final class Listener: Sendable {
  /// Whether clients have to show a certificate of the authority.
  enum ClientCertificates: Sendable {
    case required
    /// Asked for, and taken whatever it is: the handlers look at it.
    case requested
  }

  typealias Setup = @Sendable (any Channel) throws -> Void

  private struct State {
    var server: (any Channel)?
    var connections: [ObjectIdentifier: any Channel] = [:]
    var port: Int
  }

  private let host: String
  private let group: any EventLoopGroup
  private let context: NIOSSLContext
  private let clientCertificates: ClientCertificates
  private let setup: Setup
  private let state: Mutex<State>

  init(
    host: String, port: Int, group: any EventLoopGroup, authority: CertificateAuthority,
    identity: (certificate: String, key: String), clientCertificates: ClientCertificates, setup: @escaping Setup
  ) throws {
    self.host = host
    self.group = group
    self.clientCertificates = clientCertificates
    self.setup = setup
    state = Mutex(State(port: port))
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: [.certificate(try NIOSSLCertificate(bytes: Array(identity.certificate.utf8), format: .pem))],
      privateKey: .privateKey(try NIOSSLPrivateKey(bytes: Array(identity.key.utf8), format: .pem)))
    configuration.minimumTLSVersion = .tlsv12
    // Go says that it closes and closes; it does not wait for the other side.
    configuration.shutdownTimeout = .milliseconds(100)
    configuration.trustRoots = .certificates([try NIOSSLCertificate(bytes: authority.der, format: .der)])
    configuration.certificateVerification = clientCertificates == .required ? .noHostnameVerification : .optionalVerification
    context = try NIOSSLContext(configuration: configuration)
  }

  var port: Int { state.withLock { $0.port } }

  /// Listens, unless it does already.
  func open() async throws {
    if state.withLock({ $0.server != nil }) { return }
    let bootstrap = ServerBootstrap(group: group).serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture {
          let tls: NIOSSLServerHandler =
            switch clientCertificates {
            case .required: NIOSSLServerHandler(context: context)
            case .requested: NIOSSLServerHandler(context: context, customVerificationCallback: { $1.succeed(.certificateVerified) })
            }
          try channel.pipeline.syncOperations.addHandler(tls)
          try setup(channel)
          let id = ObjectIdentifier(channel)
          state.withLock { $0.connections[id] = channel }
          channel.closeFuture.whenComplete { [weak self] _ in self?.state.withLock { _ = $0.connections.removeValue(forKey: id) } }
        }
      }
    let server = try await bind(bootstrap)
    state.withLock { state in
      state.server = server
      state.port = server.localAddress?.port ?? state.port
    }
  }

  private func bind(_ bootstrap: ServerBootstrap) async throws -> any Channel {
    if port != 0 { return try await bootstrap.bind(host: host, port: port).get() }
    // Not one that the system gives to others while this listener is closed.
    for _ in 0..<100 {
      if let server = try? await bootstrap.bind(host: host, port: Int.random(in: 20_000..<32_000)).get() { return server }
    }
    return try await bootstrap.bind(host: host, port: 0).get()
  }

  /// Closes the listener and all connections, and waits for that.
  func close() async {
    let channels = state.withLock { state in
      defer { state.server = nil }
      return [state.server].compactMap { $0 } + Array(state.connections.values)
    }
    for channel in channels { channel.close(promise: nil) }
    for channel in channels { try? await channel.closeFuture.get() }
  }
}
