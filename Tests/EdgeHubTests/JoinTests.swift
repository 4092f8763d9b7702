import CloudSimulator
import Core
import FoundationEssentials
import Testing

@testable import EdgeHub

@Suite(.timeLimit(.minutes(3))) struct JoinTests {
  @Test func `joins with the token of the configuration and takes it out`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        let summary = try await node.connected()
        let end = try #require(summary.certificateUntil)
        #expect(end.hasSuffix("Z") && summary.errors.isEmpty && summary.server == cloud.websocketServer)
      }
      #expect(
        try node.folder.text("edgecore.yaml")
          == "# The node's configuration.\nmodules:\n  edgeHub:\n    token: \"\" # secret\n    heartbeat: 1\n")
      #expect(node.folder.names == ["ca.crt", "edgecore.yaml", "node.crt", "node.key"])
      #expect(node.folder.mode("node.key") == 0o600)
      // With a certificate no token is needed.
      let again = try TestHub(cloud, token: "", folder: node.folder)
      try await again.run { try await $0.connected() }
    }
  }

  @Test func `the bootstrap file comes first and is removed`() async throws {
    try await withCloud { cloud in
      let folder = try Folder()
      try folder.write("bootstrap", "\(cloud.token)\n")
      let node = try TestHub(cloud, token: "not.a.good.one", folder: folder)
      try await node.run { try await $0.connected() }
      #expect(!folder.names.contains("bootstrap"))
      #expect(try folder.text("edgecore.yaml")?.contains("token: \"\"") == true)
    }
  }

  @Test func `waits for a token, names what is wrong with one, and takes a new one without a restart`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: "")
      try await node.run { node in
        try await node.error("there is no token to get one with")
        try TestHub.write(token: "a.b.c", node.folder)
        try await node.error("the token has 3 parts")
        try TestHub.write(token: cloud.makeToken(life: .seconds(-60)), node.folder)
        try await node.error("the token expired at")
        let jwt = cloud.token.split(separator: ".").dropFirst().joined(separator: ".")
        try TestHub.write(token: String(repeating: "0", count: 64) + "." + jwt, node.folder)
        try await node.error("is not the one that the token names")
        let hash = cloud.token.split(separator: ".")[0]
        try TestHub.write(token: "\(hash).e30.e30.c2lnbmF0dXJl", node.folder)
        try await node.error("refused the token: \"authorization failure: the token is invalid or has expired\"")
        let summary = try await node.summary()
        #expect(!summary.connected && summary.certificateUntil == nil)
        // Each is told once, however often it happened.
        #expect(summary.errors.count == 5)
        #expect(!summary.errors.contains { $0.contains(jwt) || $0.contains(hash) })
        try TestHub.write(token: cloud.token, node.folder)
        try await node.connected()
      }
    }
  }

  @Test func `waits for a cloud that can't be reached`() async throws {
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      await cloud.cut()
      try await node.run { node in
        try await node.error("can't be reached")
        try await cloud.restore()
        try await node.connected()
      }
    }
  }

  @Test(.bug("https://github.com/kubeedge/kubeedge/issues/3067")) func `an expired certificate is kept, and replaced when a token comes`()
    async throws
  {
    try await withCloud { cloud in
      let folder = try Folder()
      let node = try TestHub(cloud, token: cloud.token, folder: folder)
      try await node.run { try await $0.connected() }
      // The cloud would have given this one a while ago.
      let authority = try TestAuthority()
      let expired = try authority.pair(node: TestHub.node, until: .now - 60)
      try folder.write("node.crt", expired.certificate)
      try folder.write("node.key", PEM.sec1(expired.key))
      let later = try TestHub(cloud, token: "", folder: folder)
      try await later.run { later in
        try await later.error("the node's certificate in \(folder.file("node.crt")) expired at")
        try await later.error("refuses the node's certificate")
        #expect(try folder.text("node.crt") == expired.certificate)
        try folder.write("bootstrap", cloud.token)
        try await later.connected()
      }
      #expect(try folder.text("node.crt") != expired.certificate)
      #expect(try folder.text("node.crt.previous") == expired.certificate)
    }
  }

  @Test func `says that the cloud has another CA, and joins it with its token`() async throws {
    let folder = try Folder()
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: cloud.token, folder: folder)
      try await node.run { try await $0.connected() }
    }
    try await withCloud { cloud in
      let node = try TestHub(cloud, token: "", folder: folder)
      try await node.run { node in
        try await node.error("has another CA than \(folder.file("ca.crt"))")
        try TestHub.write(token: cloud.token, folder)
        try await node.connected()
      }
    }
  }

  @Test func `renews its certificate and connects again with the new one`() async throws {
    try await withCloud({ $0.certificateLife = .seconds(20) }) { cloud in
      let folder = try Folder()
      let node = try TestHub(cloud, token: cloud.token, folder: folder)
      try await node.run { node in
        try await node.connected()
        let first = try folder.text("node.crt")
        try await node.connected(times: 2)
        #expect(try folder.text("node.crt") != first)
        #expect(try folder.text("node.crt.previous") == first)
        #expect(try await node.summary().errors.isEmpty)
      }
    }
  }

  @Test func `a certificate that can't be renewed yet is renewed when the cloud is back`() async throws {
    try await withCloud({ $0.certificateLife = .seconds(20) }) { cloud in
      let node = try TestHub(cloud, token: cloud.token)
      try await node.run { node in
        let end = try await node.connected().certificateUntil
        await cloud.cut()
        try await node.error("the node's certificate could not be renewed")
        try await cloud.restore()
        try await node.summary { $0.connected && $0.certificateUntil != end }
      }
    }
  }

  @Test func `without rotation the certificate stays`() async throws {
    try await withCloud({ $0.certificateLife = .seconds(4) }) { cloud in
      let node = try TestHub(cloud, token: cloud.token) { configuration, _ in configuration.rotateCertificates = false }
      try await node.run { node in
        let end = try await node.connected().certificateUntil
        try await Task.sleep(for: .seconds(5))
        #expect(try await node.summary().certificateUntil == end)
      }
    }
  }
}
