import Core
import Curl
import Glibc
import HTTPServer
import Logging
import NIOPosix
import Testing

@testable import CloudSimulator
@testable import Edged

/// This host's address on its network.
private let networkAddress: String? = {
  var list: UnsafeMutablePointer<ifaddrs>?
  guard getifaddrs(&list) == 0 else { return nil }
  defer { freeifaddrs(list) }
  for interface in sequence(first: list, next: { $0?.pointee.ifa_next }).compactMap(\.?.pointee) {
    guard let address = interface.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET),
      interface.ifa_flags & UInt32(IFF_LOOPBACK) == 0, interface.ifa_flags & UInt32(IFF_UP) != 0
    else { continue }
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    guard getnameinfo(address, socklen_t(MemoryLayout<sockaddr_in>.size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0
    else { continue }
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
  return nil
}()

/// Who is served over which address. Other hosts are stood for by this one's address on its network.
@Suite(.enabled(if: networkAddress != nil, "this host has no address but loopback")) struct NodeAPIAccessTests {
  private final class Files {
    let directory: String

    init() throws {
      var template = Array("/tmp/edgecore-access-XXXXXX".utf8CString)
      directory = String(cString: try #require(mkdtemp(&template)))
    }

    deinit { for name in ["ca", "crt", "key", "client-crt", "client-key"] { unlink(path(name)) }; rmdir(directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    @discardableResult func put(_ name: String, _ text: String) throws -> String {
      let file = try #require(fopen(path(name) + ".new", "w"))
      fputs(text, file)
      fclose(file)
      try #require(rename(path(name) + ".new", path(name)) == 0)
      return path(name)
    }
  }

  private static func configuration(_ files: Files) -> EdgedConfiguration {
    var configuration = EdgedConfiguration()
    configuration.tailoredKubeletConfig.tlsCertFile = files.path("crt")
    configuration.tailoredKubeletConfig.tlsPrivateKeyFile = files.path("key")
    configuration.tailoredKubeletConfig.authentication.x509.clientCAFile = files.path("ca")
    return configuration
  }

  private static func put(_ authority: CertificateAuthority, _ files: Files) throws {
    let server = try authority.serverIdentity(addresses: [networkAddress ?? ""])
    try files.put("crt", server.certificate)
    try files.put("key", server.key)
    try files.put("ca", authority.pem)
  }

  private func serving(_ configuration: EdgedConfiguration, _ body: (HTTPClient, Int) async throws -> Void) async throws {
    let events = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let logger = Logger(label: "test")
    let api = NodeAPI(configuration: configuration, node: { nil }, metrics: { "" }, events: events, logger: logger)
    var remoteTLS: HTTPServer.RemoteTLS?
    if let certificate = ServerCertificate(configuration.tailoredKubeletConfig) { remoteTLS = { try certificate.context() } }
    let server = HTTPServer(
      address: .tcp(host: "0.0.0.0", port: 0), routes: api.routes, group: events,
      remoteTLS: remoteTLS, logger: logger)
    let (listening, started) = AsyncStream<Int>.makeStream()
    let serving = Task { try await server.run { if let port = $0 { started.yield(port) } } }
    let client = HTTPClient()
    var ports = listening.makeAsyncIterator()
    let result: Result<Void, any Error>
    do { result = .success(try await body(client, try #require(await ports.next()))) } catch { result = .failure(error) }
    serving.cancel()
    _ = await serving.result
    await client.shutdown()
    try await events.shutdownGracefully()
    try result.get()
  }

  private func request(_ url: String, _ files: Files, _ identity: (certificate: String, key: String)?) throws -> HTTPRequest {
    var request = HTTPRequest("GET", url)
    request.isolatesConnection = true
    request.tls.caFile = files.path("ca")
    if let identity {
      request.tls.certificateFile = try files.put("client-crt", identity.certificate)
      request.tls.privateKeyFile = try files.put("client-key", identity.key)
    }
    return request
  }

  @Test func otherHostsNeedACertificate() async throws {
    let files = try Files()
    let authority = try CertificateAuthority()
    try Self.put(authority, files)
    let server = try authority.clientIdentity("kube-apiserver-kubelet-client", organization: "system:masters", life: .seconds(3600))
    let node = try authority.nodeIdentity("other", life: .seconds(3600))
    let stranger = try CertificateAuthority().clientIdentity("kube-apiserver-kubelet-client", organization: "x", life: .seconds(3600))
    try await serving(Self.configuration(files)) { client, port in
      let place = "\(networkAddress ?? ""):\(port)"
      func status(_ path: String, _ identity: (certificate: String, key: String)?) async throws -> Int {
        try await client.execute(try request("https://\(place)\(path)", files, identity)).status
      }
      for (path, identity, expected) in [
        ("/configz", server, 200), ("/configz", node, 403), ("/configz", nil, 401), ("/exec/default/pod/container?command=id", nil, 401),
        ("/healthz/ping", nil, 200),
      ] {
        let seen = try await status(path, identity)
        #expect(seen == expected, "\(path)")
      }
      await #expect(throws: HTTPError.self) { try await status("/healthz/ping", stranger) }
      await #expect(throws: HTTPError.self) { try await client.execute(HTTPRequest("GET", "http://\(place)/healthz/ping")) }
      // This host needs none.
      let local = try await client.execute(HTTPRequest("GET", "http://127.0.0.1:\(port)/configz"))
      #expect(local.status == 200)
    }
  }

  @Test func withoutACertificateOfItsOwnTheNodeServesNobodyElse() async throws {
    try await serving(EdgedConfiguration()) { client, port in
      let place = "http://\(networkAddress ?? ""):\(port)"
      let settings = try await client.execute(HTTPRequest("GET", "\(place)/configz"))
      #expect(settings.status == 403)
      let health = try await client.execute(HTTPRequest("GET", "\(place)/healthz/ping"))
      #expect(health.status == 200)
    }
  }

  @Test func webPagesInABrowserOfThisHostAreRefused() async throws {
    var configuration = EdgedConfiguration()
    configuration.hostnameOverride = "Edge-1"
    try await serving(configuration) { client, port in
      for (header, expected) in [
        (HTTPField("Origin", "https://example.com"), 403), (HTTPField("Origin", "null"), 403),
        (HTTPField("Sec-Fetch-Site", "cross-site"), 403), (HTTPField("Sec-Fetch-Site", "none"), 200),
        (HTTPField("Host", "rebound.example.com:\(port)"), 403), (HTTPField("Host", "127.0.0.1.example.com"), 403),
        (HTTPField("Host", "localhost:\(port)"), 200), (HTTPField("Host", "edge-1"), 200), (HTTPField("Host", "[::1]:\(port)"), 200),
      ] {
        let answer = try await client.execute(HTTPRequest("GET", "http://127.0.0.1:\(port)/configz", headers: [header]))
        #expect(answer.status == expected, "\(header)")
      }
      let exec = HTTPRequest(
        "GET", "http://127.0.0.1:\(port)/exec/default/pod/container?command=id", headers: [HTTPField("Origin", "https://example.com")])
      let answer = try await client.execute(exec)
      #expect(answer.status == 403)
      let health = try await client.execute(
        HTTPRequest("GET", "http://127.0.0.1:\(port)/healthz/ping", headers: [HTTPField("Host", "load-balancer.example.com")]))
      #expect(health.status == 200)
    }
  }

  @Test func newFilesCountForTheNextConnection() async throws {
    let files = try Files()
    try Self.put(try CertificateAuthority(), files)
    try await serving(Self.configuration(files)) { client, port in
      let url = "https://\(networkAddress ?? ""):\(port)/configz"
      let other = try CertificateAuthority()
      let identity = try other.clientIdentity("someone", organization: "people", life: .seconds(3600))
      let before = try request(url, files, identity)
      await #expect(throws: HTTPError.self) { try await client.execute(before) }
      try Self.put(other, files)
      let answer = try await client.execute(try request(url, files, identity))
      #expect(answer.status == 200)
    }
  }

  @Test func filesThatCantBeUsedAreNamed() throws {
    let files = try Files()
    let authority = try CertificateAuthority()
    let certificate = try #require(ServerCertificate(Self.configuration(files).tailoredKubeletConfig))
    func failure() -> String {
      do {
        _ = try certificate.context()
        return ""
      } catch { return error.description }
    }
    #expect(failure().hasPrefix("tlsCertFile \(files.path("crt")) can't be used"))
    try Self.put(authority, files)
    #expect(failure() == "")
    try files.put("key", "nonsense")
    #expect(failure().hasPrefix("tlsPrivateKeyFile \(files.path("key")) can't be used"))
    try files.put("key", authority.keyPEM)
    #expect(failure().hasPrefix("tlsCertFile \(files.path("crt")) and tlsPrivateKeyFile \(files.path("key")) don't go together"))
    try Self.put(authority, files)
    try files.put("ca", "")
    #expect(failure().hasPrefix("authentication.x509.clientCAFile \(files.path("ca")) "))
  }
}
