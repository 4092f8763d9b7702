import Testing

@testable import WebSocket

@Suite struct ServerAddressTests {
  @Test(arguments: [
    ("10.0.0.1:10000", "10.0.0.1", 10000, true), ("cloud.example:443", "cloud.example", 443, false), ("[::1]:1", "::1", 1, true),
    ("cloud", "cloud", 10000, false),
  ])
  func `reads host and port`(_ text: String, _ host: String, _ port: Int, _ isAddress: Bool) {
    let address = ServerAddress(text, standardPort: 10000)
    #expect(address.host == host && address.port == port)
    #expect((address.name == nil) == isAddress)
  }
}
