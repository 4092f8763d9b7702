import Crypto
import FoundationEssentials
import Testing
import X509

@testable import EdgeHub

@Suite struct CertificateFilesTests {
  private let folder: Folder
  private let authority: TestAuthority
  private let files: CertificateFiles

  init() throws {
    folder = try Folder()
    authority = try TestAuthority()
    files = CertificateFiles(
      ca: folder.file("ca.crt"), certificate: folder.file("node.crt"), key: folder.file("node.key"), nodeName: "edge-1")
    try folder.write("ca.crt", authority.text)
  }

  @Test func `nothing is no identity`() throws { #expect(try files.load() == nil) }

  @Test func `a saved pair is loaded, with modes that keep the key`() throws {
    let pair = try authority.pair(node: "edge-1")
    try files.save(certificateText: pair.certificate, keyText: PEM.sec1(pair.key))
    let loaded = try #require(try files.load())
    #expect(!loaded.isRepaired && loaded.identity.isOfCA)
    #expect(loaded.identity.certificateText == pair.certificate)
    #expect(folder.mode("node.key") == 0o600 && folder.mode("node.crt") == 0o644)
    #expect(folder.names == ["ca.crt", "node.crt", "node.key"])
    #expect(try folder.text("node.key")?.hasPrefix("-----BEGIN EC PRIVATE KEY-----\n") == true)
    #expect(!"\(loaded.identity)".contains("PRIVATE"))
  }

  @Test func `keys in PKCS 8 are read too`() throws {
    let pair = try authority.pair(node: "edge-1")
    try folder.write("node.crt", pair.certificate)
    try folder.write("node.key", pair.key.pemRepresentation)
    #expect(try files.load()?.identity.keyText.contains("BEGIN PRIVATE KEY") == true)
  }

  @Test func `SEC 1 is what OpenSSL and Go read`() throws {
    let key = P256.Signing.PrivateKey()
    let read = try P256.Signing.PrivateKey(pemRepresentation: PEM.sec1(key))
    #expect(read.rawRepresentation == key.rawRepresentation)
  }

  @Test(arguments: 0...CertificateFiles.Step.allCases.count)
  func `a swap that breaks off leaves a pair that fits`(_ count: Int) throws {
    let old = try authority.pair(node: "edge-1")
    let new = try authority.pair(node: "edge-1")
    try files.save(certificateText: old.certificate, keyText: PEM.sec1(old.key))
    for step in CertificateFiles.Step.allCases.prefix(count) {
      try files.perform(step, certificateText: new.certificate, keyText: PEM.sec1(new.key))
    }
    let loaded = try #require(try files.load())
    // Once the first of the two has taken its place, the new pair is the one.
    let isNew = count >= 6
    #expect(loaded.identity.certificateText == (isNew ? new.certificate : old.certificate))
    #expect(loaded.isRepaired == (count == 6))
    let again = try #require(try files.load())
    #expect(!again.isRepaired && again.identity.certificateText == loaded.identity.certificateText)
  }

  @Test func `a pair that an earlier writer left half swapped comes from the copies`() throws {
    let old = try authority.pair(node: "edge-1")
    let new = try authority.pair(node: "edge-1")
    try folder.write("node.crt", old.certificate)
    try folder.write("node.key", PEM.sec1(new.key))
    try folder.write("node.key.previous", PEM.sec1(old.key))
    let loaded = try #require(try files.load())
    #expect(loaded.isRepaired && loaded.identity.certificateText == old.certificate)
    #expect(try folder.text("node.key") == PEM.sec1(old.key))
  }

  @Test func `says what is wrong`() throws {
    func problem() throws -> String {
      do {
        _ = try files.load()
        return ""
      } catch { return "\(error)" }
    }
    let other = try authority.pair(node: "edge-2")
    try folder.write("node.crt", other.certificate)
    try folder.write("node.key", PEM.sec1(other.key))
    #expect(try problem().contains("is for \"system:node:edge-2\", this node is \"system:node:edge-1\""))
    let pair = try authority.pair(node: "edge-1")
    try folder.write("node.crt", pair.certificate)
    #expect(try problem().contains("is not that of the certificate"))
    try folder.write("node.key", "")
    #expect(try problem().contains("holds no private key"))
    try folder.write("node.crt", "damaged")
    #expect(try problem().contains("node.crt holds no certificate"))
    try folder.write("ca.crt", "damaged")
    #expect(try problem().contains("ca.crt holds no certificate"))
  }

  @Test func `knows a certificate of another CA`() throws {
    let pair = try TestAuthority().pair(node: "edge-1")
    try files.save(certificateText: pair.certificate, keyText: PEM.sec1(pair.key))
    #expect(try files.load()?.identity.isOfCA == false)
  }

  @Test func `the request has the subject that the cloud expects`() throws {
    let key = P256.Signing.PrivateKey()
    let request = try CertificateSigningRequest(derEncoded: try NodeIdentity.signingRequest(node: "edge-1", key: key))
    #expect("\(request.subject)" == "CN=system:node:edge-1,ST=Zhejiang,L=Hangzhou,O=system:nodes,C=CN")
    #expect(request.publicKey.isValidSignature(request.signature, for: request))
  }
}

@Suite struct CertificateScheduleTests {
  private let start = Date(timeIntervalSince1970: 1_700_000_000)
  private let day = CertificateSchedule.day

  private func schedule(days: Double, spread: Double = 0.5, renews: Bool = true) -> CertificateSchedule {
    CertificateSchedule(notBefore: start, notAfter: start + days * day, renews: renews, spread: spread)
  }

  @Test func `renews between 70 and 90 percent of life`() {
    #expect(schedule(days: 100, spread: 0).renewal == start + 70 * day)
    #expect(schedule(days: 100, spread: 1).renewal == start + 90 * day)
    #expect(!schedule(days: 100).isDue(at: start + 79 * day))
    #expect(schedule(days: 100).isDue(at: start + 81 * day))
    #expect(!schedule(days: 100, renews: false).isDue(at: start + 200 * day))
  }

  @Test func `warns at 30, 14 and 7 days`() {
    let schedule = schedule(days: 365)
    let end = start + 365 * day
    #expect(schedule.warning(at: end - 31 * day) == nil)
    #expect(schedule.warning(at: end - 30 * day) == 30)
    #expect(schedule.warning(at: end - 14 * day) == 14)
    #expect(schedule.warning(at: end - 1) == 7)
    #expect(schedule.warning(at: end) == 0)
  }

  @Test func `sleeps until there is something to do, an hour at most`() {
    let schedule = schedule(days: 365)
    #expect(schedule.pause(at: start) == 3600)
    #expect(schedule.pause(at: start + 365 * day - 7 * day - 60) == 60)
    #expect(schedule.pause(at: start + 400 * day) == 3600)
  }
}
