import Glibc
import NIOCore
import NIOSSL
import Testing

@testable import WebSocket

@Suite struct ConnectionErrorTests {
  private func words(_ error: any Error, isOpen: Bool) -> String {
    "\(ConnectionError(error, server: "cloud:1", isOpen: isOpen, limit: 1))"
  }

  @Test func `says what the system says, not what the library calls it`() {
    let refused = IOError(errnoCode: ECONNREFUSED, reason: "connection reset (error set)")
    #expect(words(refused, isOpen: false) == "the cloud at cloud:1 can't be reached: connection refused")
    let reset = IOError(errnoCode: ECONNRESET, reason: "read(descriptor:pointer:size:)")
    #expect(words(reset, isOpen: true) == "the connection to the cloud was lost: connection reset by peer")
    #expect(
      words(ChannelError.connectTimeout(.seconds(3)), isOpen: false) == "the cloud at cloud:1 can't be reached: no answer within 3 s")
  }

  @Test func `a cloud that was killed has only ended the connection`() {
    #expect(
      words(NIOSSLError.uncleanShutdown, isOpen: true) == "the connection to the cloud was lost: the cloud ended it without a goodbye")
  }
}
