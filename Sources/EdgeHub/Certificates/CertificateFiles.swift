import X509

/// The node's certificate, its key and the CA on disk.
///
/// Certificate and key are two files, which can't be replaced in one step. So the new ones are written beside the old ones, copies of
/// the old ones are kept, and only then they take their places: wherever that breaks off, a certificate and its key are on the disk.
struct CertificateFiles: Sendable {
  let ca: String
  let certificate: String
  let key: String
  let nodeName: String

  private enum Copy: String, CaseIterable {
    case current = ""
    case new = ".new"
    case previous = ".previous"
  }

  struct Loaded {
    var identity: NodeIdentity
    /// The files did not fit together; what fits was put into their places.
    var isRepaired: Bool
  }

  /// The CA that a join tries, until it has come through.
  var newCA: String { ca + Copy.new.rawValue }

  // MARK: Reading

  /// The node's identity; nil without one. An expired one is one.
  ///
  /// - Throws: `CertificateError.unusable`, `.file`.
  func load() throws(CertificateError) -> Loaded? {
    guard let caBytes = try DurableFile.read(ca) else { return nil }
    guard let caText = PEM.block("CERTIFICATE", in: caBytes), let authority = try? Certificate(pemEncoded: caText) else {
      throw .unusable("\(ca) holds no certificate")
    }
    var certificates: [Copy: (Certificate, String)] = [:]
    var keys: [Copy: (Certificate.PrivateKey, String)] = [:]
    var isEmpty = true
    for copy in Copy.allCases {
      if let bytes = try DurableFile.read(certificate + copy.rawValue) {
        isEmpty = isEmpty && copy != .current
        if let text = PEM.block("CERTIFICATE", in: bytes), let value = try? Certificate(pemEncoded: text) {
          certificates[copy] = (value, text)
        }
      }
      if let bytes = try DurableFile.read(key + copy.rawValue), let text = PEM.block("PRIVATE KEY", in: bytes),
        let value = try? Certificate.PrivateKey(pemEncoded: text)
      {
        keys[copy] = (value, text)
      }
    }
    for (certificateCopy, keyCopy) in Self.order {
      guard let (certificate, certificateText) = certificates[certificateCopy], let (key, keyText) = keys[keyCopy],
        key.publicKey == certificate.publicKey, NodeIdentity.commonName(of: certificate) == expectedName
      else { continue }
      let identity = NodeIdentity(
        certificate: certificate, certificateText: certificateText, keyText: keyText, caText: caText,
        isOfCA: authority.publicKey.isValidSignature(certificate.signature, for: certificate))
      let isRepaired = (certificateCopy, keyCopy) != (.current, .current)
      if isRepaired { try save(certificateText: certificateText, keyText: keyText, keepsPrevious: false) }
      return Loaded(identity: identity, isRepaired: isRepaired)
    }
    if isEmpty { return nil }
    throw .unusable(problem(certificates[.current]?.0, keys[.current]?.0))
  }

  /// The files' own combination first, then the newest.
  private static let order: [(Copy, Copy)] =
    [(.current, .current)]
    + [.new, .current, .previous].flatMap { certificate in [Copy.new, .current, .previous].map { (certificate, $0) } }

  private var expectedName: String { NodeIdentity.commonName(ofNode: nodeName) }

  private func problem(_ certificate: Certificate?, _ key: Certificate.PrivateKey?) -> String {
    guard let certificate else { return "\(self.certificate) holds no certificate" }
    let name = NodeIdentity.commonName(of: certificate) ?? ""
    guard name == expectedName else {
      return "the certificate in \(self.certificate) is for \"\(name)\", this node is \"\(expectedName)\""
    }
    guard key != nil else { return "\(self.key) holds no private key" }
    return "the key in \(self.key) is not that of the certificate in \(self.certificate)"
  }

  // MARK: Writing

  func save(certificateText: String, keyText: String) throws(CertificateError) {
    try save(certificateText: certificateText, keyText: keyText, keepsPrevious: true)
  }

  private func save(certificateText: String, keyText: String, keepsPrevious: Bool) throws(CertificateError) {
    for step in Step.allCases where keepsPrevious || !step.keepsPrevious {
      try perform(step, certificateText: certificateText, keyText: keyText)
    }
  }

  /// What replaces the pair, in this order.
  enum Step: CaseIterable {
    case folders, newKey, newCertificate, previousKey, previousCertificate, key, certificate

    fileprivate var keepsPrevious: Bool { self == .previousKey || self == .previousCertificate }
  }

  func perform(_ step: Step, certificateText: String, keyText: String) throws(CertificateError) {
    switch step {
    case .folders:
      try DurableFile.makeFolder(of: certificate)
      try DurableFile.makeFolder(of: key)
    case .newKey: try DurableFile.replace(key + Copy.new.rawValue, Array(keyText.utf8), mode: 0o600)
    case .newCertificate: try DurableFile.replace(certificate + Copy.new.rawValue, Array(certificateText.utf8), mode: 0o644)
    case .previousKey: try keepPrevious(key, mode: 0o600)
    case .previousCertificate: try keepPrevious(certificate, mode: 0o644)
    case .key: try DurableFile.move(key + Copy.new.rawValue, to: key)
    case .certificate: try DurableFile.move(certificate + Copy.new.rawValue, to: certificate)
    }
  }

  /// Writes the CA that a join is about to try.
  func writeNewCA(_ text: String) throws(CertificateError) {
    try DurableFile.makeFolder(of: ca)
    try DurableFile.replace(newCA, Array(text.utf8), mode: 0o644)
  }

  /// The new CA takes its place.
  func acceptNewCA() throws(CertificateError) {
    try keepPrevious(ca, mode: 0o644)
    try DurableFile.move(newCA, to: ca)
  }

  private func keepPrevious(_ path: String, mode: UInt32) throws(CertificateError) {
    guard let bytes = try DurableFile.read(path) else { return }
    try DurableFile.replace(path + Copy.previous.rawValue, bytes, mode: mode)
  }
}
