import Core
import HTTPServer
import NIOSSL

/// The certificate that other hosts are shown, and the authorities that theirs must come from. Replaced files count for the next
/// connection.
final class NodeCertificate: Sendable {
  /// A file that can't be used.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let files: ReloadedContext<Failure>

  /// - Returns: nil if other hosts aren't to be served.
  init?(_ kubelet: KubeletConfiguration) {
    guard !kubelet.tlsCertFile.isEmpty else { return nil }
    let (certificate, key) = (kubelet.tlsCertFile, kubelet.tlsPrivateKeyFile)
    let authorities = kubelet.authentication.x509.clientCAFile
    files = ReloadedContext(files: [certificate, key, authorities]) { () throws(Failure) in
      try Self.load(certificate, key, authorities: authorities)
    }
  }

  /// TLS 1.2 or newer. A client's certificate is verified if it shows one; that it has to is for whoever answers it.
  ///
  /// - Throws: `Failure` that names the setting and the file.
  func context() throws(Failure) -> NIOSSLContext { try files.context() }

  private static func load(
    _ certificateFile: String, _ keyFile: String, authorities clientAuthorityFile: String
  ) throws(Failure) -> NIOSSLContext {
    let chain = try read("tlsCertFile", certificateFile) { try NIOSSLCertificate.fromPEMFile($0) }
    let key = try read("tlsPrivateKeyFile", keyFile) { try NIOSSLPrivateKey(file: $0, format: .pem) }
    let authorities = try read("authentication.x509.clientCAFile", clientAuthorityFile) { try NIOSSLCertificate.fromPEMFile($0) }
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
}
