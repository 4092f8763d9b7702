import Core
import HTTPServer
import NIOSSL
import X509

/// The certificate that applications are shown. Replaced files count for the next connection.
final class BusCertificate: Sendable {
  /// A file that can't be used.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  private let files: ReloadedContext<Failure>

  /// - Returns: nil if TLS isn't wished for.
  init?(_ configuration: ServiceBusConfiguration) {
    let (certificate, key) = (configuration.tlsCertFile, configuration.tlsPrivateKeyFile)
    guard !certificate.isEmpty || !key.isEmpty else { return nil }
    files = ReloadedContext(files: [certificate, key]) { () throws(Failure) in try Self.load(certificate, key) }
  }

  /// TLS 1.2 or newer, without clients' certificates.
  ///
  /// - Throws: `Failure` that names the setting and the file.
  func context() throws(Failure) -> NIOSSLContext { try files.context() }

  private static func load(_ certificateFile: String, _ keyFile: String) throws(Failure) -> NIOSSLContext {
    guard !certificateFile.isEmpty, !keyFile.isEmpty else {
      throw Failure(
        description: "tlsCertFile and tlsPrivateKeyFile are needed, and \(certificateFile.isEmpty ? "the first" : "the second") is missing")
    }
    let chain = try read("tlsCertFile", certificateFile) { try NIOSSLCertificate.fromPEMFile($0) }
    let key = try read("tlsPrivateKeyFile", keyFile) { try NIOSSLPrivateKey(file: $0, format: .pem) }
    guard let leaf = chain.first else { throw Failure(description: "tlsCertFile \(certificateFile) has no certificate") }
    let isForServers = try read("tlsCertFile", certificateFile) { _ in
      try Certificate(derEncoded: try leaf.toDERBytes()).extensions.extendedKeyUsage?.contains(.serverAuth) ?? false
    }
    guard isForServers else {
      throw Failure(description: "tlsCertFile \(certificateFile) is no certificate for servers: it lacks the extended key usage serverAuth")
    }
    var configuration = TLSConfiguration.makeServerConfiguration(
      certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
    configuration.minimumTLSVersion = .tlsv12
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
