import Glibc
import NIOSSL
import Synchronization

/// The certificate that clients are shown, from files. Replaced files count for the next connection.
public final class ServerCertificate: Sendable {
  /// A file that can't be used.
  public struct Failure: Error, Sendable, CustomStringConvertible {
    public var description: String
    public init(_ description: String) { self.description = description }
  }

  /// A file, and the setting that names it, for errors.
  public struct File: Sendable {
    public var setting: String
    public var path: String

    public init(_ setting: String, _ path: String) {
      self.setting = setting
      self.path = path
    }

    /// - Throws: `Failure` that names the setting and the file.
    public func read<Value>(_ body: (String) throws -> Value) throws(Failure) -> Value {
      do {
        return try body(path)
      } catch {
        throw Failure("\(self) can't be used: \(error)")
      }
    }
  }

  private struct Version: Equatable {
    var inode: ino_t
    var size: off_t
    var seconds: Int
    var nanoseconds: Int

    init?(_ path: String) {
      var info = stat()
      guard stat(path, &info) == 0 else { return nil }
      (inode, size) = (info.st_ino, info.st_size)
      (seconds, nanoseconds) = (info.st_ctim.tv_sec, info.st_ctim.tv_nsec)
    }
  }

  private let certificate: File
  private let key: File
  private let clientAuthorities: File?
  private let check: @Sendable (_ leaf: NIOSSLCertificate) throws(Failure) -> Void
  private let loaded = Mutex<(context: NIOSSLContext, versions: [Version?])?>(nil)

  /// - Parameters:
  ///   - clientAuthorities: whom clients' certificates must come from. One is verified if the client shows it; that it has to is for
  ///     whoever answers it.
  ///   - check: what is asked of the certificate beside that it can be used.
  public init(
    certificate: File, key: File, clientAuthorities: File? = nil,
    check: @escaping @Sendable (_ leaf: NIOSSLCertificate) throws(Failure) -> Void = { _ in }
  ) {
    self.certificate = certificate
    self.key = key
    self.clientAuthorities = clientAuthorities
    self.check = check
  }

  /// The context as the files are now: TLS 1.2 or newer.
  ///
  /// - Throws: `Failure` that names the setting and the file.
  public func context() throws(Failure) -> NIOSSLContext {
    try loaded.withLock { loaded throws(Failure) in
      let versions = [certificate, key, clientAuthorities].map { $0.flatMap { Version($0.path) } }
      if let loaded, loaded.versions == versions { return loaded.context }
      let context = try load()
      loaded = (context, versions)
      return context
    }
  }

  private func load() throws(Failure) -> NIOSSLContext {
    if let missing = [certificate, key].first(where: { $0.path.isEmpty }) {
      throw Failure("\(certificate.setting) and \(key.setting) are needed, and \(missing.setting) is missing")
    }
    let chain = try Self.certificates(certificate)
    let key = try self.key.read { try NIOSSLPrivateKey(file: $0, format: .pem) }
    try check(chain[0])
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.applicationProtocols = ["http/1.1"]
    if let clientAuthorities {
      configuration.trustRoots = .certificates(try Self.certificates(clientAuthorities))
      configuration.certificateVerification = .optionalVerification
    }
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw Failure("\(certificate) and \(self.key) don't go together: \(error)")
    }
  }

  /// At least one.
  private static func certificates(_ file: File) throws(Failure) -> [NIOSSLCertificate] {
    let certificates = try file.read { try NIOSSLCertificate.fromPEMFile($0) }
    if certificates.isEmpty { throw Failure("\(file) has no certificate") }
    return certificates
  }
}

extension ServerCertificate.File: CustomStringConvertible {
  public var description: String { "\(setting) \(path)" }
}
