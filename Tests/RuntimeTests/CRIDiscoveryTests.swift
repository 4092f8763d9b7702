import Curl
import Foundation
import Glibc
import Testing

@testable import Runtime

@Suite("Discovery of the engine")
struct CRIDiscoveryTests {
  private final class Folder {
    let path: String

    init() throws {
      var template = Array("/tmp/edgecore-find-XXXXXX".utf8CString)
      guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
      path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
  }

  private func reasons(_ endpoints: [String]) async throws -> [EngineAttempt.Reason] {
    let http = HTTPClient()
    let outcome = try await RuntimeDiscovery(endpoints: endpoints, http: http, factory: EngineFactory(http: http)).find()
    await http.shutdown()
    guard case .missing(let attempts) = outcome else {
      Issue.record("an engine was found")
      return []
    }
    #expect(attempts.map(\.endpoint) == endpoints)
    return attempts.map(\.reason)
  }

  @Test func eachSocketHasItsReason() async throws {
    let folder = try Folder()
    let file = folder.path + "/file"
    try Data().write(to: URL(fileURLWithPath: file))
    let dead = folder.path + "/dead.sock"
    try bindAndClose(dead)
    let found = try await reasons(["unix://\(folder.path)/missing.sock", "unix://\(file)", "tcp://127.0.0.1:1", dead])
    try #require(found.count == 4)
    #expect(found[0] == .noSuchSocket)
    #expect(found[1] == .notASocket)
    #expect(found[2] == .invalidEndpoint)
    guard case .noConnection = found[3] else {
      Issue.record("unexpected: \(found[3])")
      return
    }
  }

  /// A socket's file that nobody listens on, as a killed engine leaves it.
  private func bindAndClose(_ path: String) throws { close(try bound(path)) }

  private func bound(_ path: String) throws -> Int32 {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
    guard result == 0 else { throw POSIXError(.EIO) }
    return descriptor
  }

  /// Gives every connection Docker's answer to `GET /version`, until the socket is shut down.
  private func serveDockerVersion(_ path: String) throws -> Int32 {
    let listener = try bound(path)
    guard listen(listener, 8) == 0 else { throw POSIXError(.EIO) }
    Thread.detachNewThread {
      let body = #"{"Version":"20.10.24","ApiVersion":"1.41"}"#
      let reply = Array("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)".utf8)
      while true {
        let connection = accept(listener, nil, nil)
        guard connection >= 0 else { break }
        var request = [UInt8](repeating: 0, count: 4096)
        _ = read(connection, &request, request.count)
        _ = send(connection, reply, reply.count, Int32(MSG_NOSIGNAL))
        close(connection)
      }
      close(listener)
    }
    return listener
  }

  @Test(arguments: ["docker.sock", "other.sock"])
  func dockerIsRecognisedByNameOrByItsAnswer(name: String) async throws {
    let folder = try Folder()
    let path = folder.path + "/" + name
    let listener = try serveDockerVersion(path)
    defer { shutdown(listener, Int32(SHUT_RDWR)) }
    #expect(try await reasons([path]) == [.dockerUnsupported])
    let http = HTTPClient()
    let factory = EngineFactory(http: http) { socketPath, http in CRIRuntime(socketPath: socketPath, http: http) }
    guard case .found(let runtime) = try await RuntimeDiscovery(endpoint: path, http: http, factory: factory).find() else {
      Issue.record("Docker was not found")
      return
    }
    #expect(runtime.endpoint == path)
    await http.shutdown()
  }

  @Test func waitingGoesOnUntilCancelled() async throws {
    let http = HTTPClient()
    let discovery = RuntimeDiscovery(endpoint: "/no/such.sock", http: http, factory: EngineFactory(http: http))
    let (rounds, round) = AsyncStream.makeStream(of: [EngineAttempt].self)
    let waiting = Task { try await discovery.waitForEngine { round.yield($0) } }
    var count = 0
    for await attempts in rounds {
      #expect(attempts == [EngineAttempt(endpoint: "/no/such.sock", reason: .noSuchSocket)])
      count += 1
      if count == 2 { break }
    }
    waiting.cancel()
    await #expect(throws: CancellationError.self) { try await waiting.value }
    await http.shutdown()
  }
}
