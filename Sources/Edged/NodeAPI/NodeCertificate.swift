import Core
import Glibc
import NIOSSL
import Synchronization

/// The certificate that other hosts are shown, and the authorities that theirs must come from. Replaced files count for the next
/// connection.
final class NodeCertificate: Sendable {
  /// A file that can't be used.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private struct Version: Equatable {
    var inode: ino_t
    var size: off_t
    var changed: timespec

    static func == (one: Version, other: Version) -> Bool {
      one.inode == other.inode && one.size == other.size && one.changed.tv_sec == other.changed.tv_sec
        && one.changed.tv_nsec == other.changed.tv_nsec
    }
  }

  private let certificateFile: String
  private let keyFile: String
  private let clientAuthorityFile: String
  private let loaded = Mutex<(context: NIOSSLContext, versions: [Version?])?>(nil)

  /// - Returns: nil if other hosts aren't to be served.
  init?(_ kubelet: KubeletConfiguration) {
    guard !kubelet.tlsCertFile.isEmpty else { return nil }
    certificateFile = kubelet.tlsCertFile
    keyFile = kubelet.tlsPrivateKeyFile
    clientAuthorityFile = kubelet.authentication.x509.clientCAFile
  }

  /// TLS 1.2 or newer. A client's certificate is verified if it shows one; that it has to is for whoever answers it.
  ///
  /// - Throws: `Failure` that names the setting and the file.
  func context() throws(Failure) -> NIOSSLContext {
    try loaded.withLock { loaded throws(Failure) in
      let versions = [certificateFile, keyFile, clientAuthorityFile].map(Self.version)
      if let loaded, loaded.versions == versions { return loaded.context }
      let context = try load()
      loaded = (context, versions)
      return context
    }
  }

  private func load() throws(Failure) -> NIOSSLContext {
    let chain = try Self.read("tlsCertFile", certificateFile) { try NIOSSLCertificate.fromPEMFile($0) }
    let key = try Self.read("tlsPrivateKeyFile", keyFile) { try NIOSSLPrivateKey(file: $0, format: .pem) }
    let authorities = try Self.read("authentication.x509.clientCAFile", clientAuthorityFile) { try NIOSSLCertificate.fromPEMFile($0) }
    guard !chain.isEmpty else { throw Failure(description: "tlsCertFile \(certificateFile) has no certificate") }
    guard !authorities.isEmpty else {
      throw Failure(description: "authentication.x509.clientCAFile \(clientAuthorityFile) has no certificate")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
    configuration.trustRoots = .certificates(authorities)
    configuration.certificateVerification = .optionalVerification
    configuration.applicationProtocols = ["http/1.1"]
    do {
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw Failure(description: "tlsCertFile \(certificateFile) and tlsPrivateKeyFile \(keyFile) don't go together: \(error)")
    }
  }

  private static func read<Value>(_ setting: String, _ file: String, _ body: (String) throws -> Value) throws(Failure) -> Value {
    do {
      return try body(file)
    } catch {
      throw Failure(description: "\(setting) \(file) can't be used: \(error)")
    }
  }

  private static func version(of file: String) -> Version? {
    var info = stat()
    guard stat(file, &info) == 0 else { return nil }
    return Version(inode: info.st_ino, size: info.st_size, changed: info.st_ctim)
  }
}
