import Core
import HTTPServer
import X509

extension ServerCertificate {
  /// What applications are shown; it has to be one for servers, and clients need none.
  ///
  /// - Returns: nil if TLS isn't wished for. With one file of the two `context()` says which is missing.
  convenience init?(_ configuration: ServiceBusConfiguration) {
    let certificate = File("tlsCertFile", configuration.tlsCertFile)
    let key = File("tlsPrivateKeyFile", configuration.tlsPrivateKeyFile)
    guard !certificate.path.isEmpty || !key.path.isEmpty else { return nil }
    self.init(certificate: certificate, key: key) { leaf throws(Failure) in
      let isForServers = try certificate.read { _ in
        try Certificate(derEncoded: try leaf.toDERBytes()).extensions.extendedKeyUsage?.contains(.serverAuth) ?? false
      }
      guard isForServers else {
        throw Failure("\(certificate) is no certificate for servers: it lacks the extended key usage serverAuth")
      }
    }
  }
}
