import Core
import HTTPServer

extension ServerCertificate {
  /// What other hosts are shown, and the authorities that their certificates must come from.
  ///
  /// - Returns: nil if other hosts aren't to be served.
  convenience init?(_ kubelet: KubeletConfiguration) {
    guard !kubelet.tlsCertFile.isEmpty else { return nil }
    self.init(
      certificate: File("tlsCertFile", kubelet.tlsCertFile), key: File("tlsPrivateKeyFile", kubelet.tlsPrivateKeyFile),
      clientAuthorities: File("authentication.x509.clientCAFile", kubelet.authentication.x509.clientCAFile))
  }
}
