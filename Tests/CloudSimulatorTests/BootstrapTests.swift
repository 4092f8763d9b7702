import CloudSimulator
import Crypto
import Foundation
import Testing
import X509

@Suite(.timeLimit(.minutes(2)))
struct BootstrapTests {
  @Test
  func aTokenBuysACertificate() async throws {
    try await withCloud { cloud async throws -> Void in
      let identity = try await TestNode.join(cloud, "edge-1")
      let certificate = try Certificate(derEncoded: identity.certificate)
      // Of the request's subject only organization and common name stay.
      #expect(certificate.subject.description.contains("CN=system:node:edge-1"))
      #expect(certificate.subject.description.contains("O=system:nodes"))
      #expect(!certificate.subject.description.contains("Hangzhou"))
      #expect(try certificate.extensions.extendedKeyUsage?.contains(.clientAuth) == true)
      let life = certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore)
      #expect(abs(life - 365 * 86_400) < 2)
    }
  }

  @Test
  func wrongTokensAreRefused() async throws {
    try await withCloud { cloud async throws -> Void in
      let request = try TestNode.request("edge-1")
      func status(_ authorization: String?) async throws -> Int {
        let headers = [("NodeName", "edge-1")] + (authorization.map { [("Authorization", $0)] } ?? [])
        return try await TestNode.get(cloud, "/edge.crt", headers: headers, body: request, verifies: nil).status
      }
      let token = cloud.token.split(separator: ".").dropFirst().joined(separator: ".")
      let expired = cloud.makeToken(life: .seconds(-1)).split(separator: ".").dropFirst().joined(separator: ".")
      #expect(try await status("Bearer \(token)") == 200)
      #expect(try await status(nil) == 401)
      #expect(try await status("Bearer ") == 401)
      #expect(try await status("Bearer  \(token)") == 401)
      #expect(try await status("Bearer \(expired)") == 401)
      #expect(try await status("Bearer \(token.dropLast(4))AAAA") == 401)
      #expect(try await status("Bearer \(cloud.token)") == 401)
    }
  }

  @Test
  func acceptAndMethodAreChecked() async throws {
    try await withCloud { cloud async throws -> Void in
      func status(_ path: String, method: String = "GET", accept: String? = nil) async throws -> Int {
        try await TestNode.get(cloud, path, method: method, headers: accept.map { [("Accept", $0)] } ?? [], verifies: nil).status
      }
      let plain = try await status("/ca.crt")
      #expect(plain == 200)
      #expect(try await status("/ca.crt", accept: "application/json") == 406)
      #expect(try await status("/ca.crt", accept: "text/plain, */*") == 200)
      #expect(try await status("/ca.crt", method: "POST") == 405)
      #expect(try await status("/edge.crt", method: "POST") == 405)
      #expect(try await status("/nothing") == 404)
      #expect(try await status("/node/edge-1") == 404)
    }
  }

  @Test
  func aCertificateBuysItsSuccessorOnlyForItsOwnName() async throws {
    try await withCloud { cloud async throws -> Void in
      let identity = try await TestNode.join(cloud, "edge-1")
      let caFile = identity.directory + "/ca.crt"
      func answer(_ name: String) async throws -> (status: Int, body: [UInt8]) {
        try await TestNode.get(
          cloud, "/edge.crt", headers: [("NodeName", name)], body: try TestNode.request(name), verifies: caFile, identity: identity)
      }
      let renewed = try await answer("edge-1")
      #expect(renewed.status == 200)
      #expect(try Certificate(derEncoded: renewed.body).subject.description.contains("CN=system:node:edge-1"))
      #expect(try await answer("edge-2").status == 401)
    }
  }

  @Test
  func anExpiredCertificateBuysNothing() async throws {
    try await withCloud({ $0.certificateLife = .seconds(-5) }) { cloud async throws -> Void in
      let identity = try await TestNode.join(cloud, "edge-1")
      let answer = try await TestNode.get(
        cloud, "/edge.crt", headers: [("NodeName", "edge-1")], body: try TestNode.request("edge-1"),
        verifies: identity.directory + "/ca.crt", identity: identity)
      #expect(answer.status == 401)
    }
  }

  @Test
  func aFolderMakesTheSameCloudAgain() async throws {
    let folder = FileManager.default.temporaryDirectory.path + "/cloudsim-state-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    var configuration = CloudSimulator.Configuration()
    configuration.stateDirectory = folder
    let first = try await CloudSimulator.start(configuration)
    let applied = try first.apply(try configMap("settings", "1"))
    let places = [first.httpServer, first.websocketServer, first.authorityPEM]
    await first.shutdown()
    let second = try await CloudSimulator.start(configuration)
    #expect([second.httpServer, second.websocketServer, second.authorityPEM] == places)
    #expect(second.get("configmap", name: "settings") == applied)
    let changed = try second.apply(try configMap("settings", "2"))
    #expect(try #require(UInt64(changed.version)) > (try #require(UInt64(applied.version))))
    await second.shutdown()
  }
}
