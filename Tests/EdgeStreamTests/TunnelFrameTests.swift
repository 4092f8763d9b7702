import NIOCore
import Testing

@testable import EdgeStream

@Suite struct TunnelFrameTests {
  @Test(
    arguments: [
      (1, TunnelFrame.Kind.data, "A", [0x01, 0x03, 0x41]), (300, .remove, "", [0xAC, 0x02, 0x04]), (0, .close, "x", [0x00, 0x05, 0x78]),
      (UInt64.max, .attach, "", [UInt8](repeating: 0xFF, count: 9) + [0x01, 0x06]),
    ] as [(UInt64, TunnelFrame.Kind, String, [UInt8])])
  func `is written and read`(_ session: UInt64, _ kind: TunnelFrame.Kind, _ payload: String, _ bytes: [UInt8]) {
    #expect(Array(TunnelFrame.bytes(session: session, kind: kind, payload: ByteBuffer(string: payload)).readableBytesView) == bytes)
    let frame = TunnelFrame(bytes)
    #expect(frame?.session == session && frame?.kind == kind && frame.map { Array($0.payload) } == Array(payload.utf8))
  }

  @Test(
    arguments: [
      [], [0x80], [0x01], [0x01, 0x80], [0x01, 0x07], [UInt8](repeating: 0xFF, count: 9) + [0x02, 0x03],
      [UInt8](repeating: 0x80, count: 11),
    ] as [[UInt8]])
  func `what can't be read is none`(_ bytes: [UInt8]) { #expect(TunnelFrame(bytes) == nil) }
}

@Suite struct StreamRequestTests {
  private func request(_ json: String) throws -> StreamRequest { try StreamRequest(json: Array(json.utf8)[...]) }

  @Test(arguments: [
    (#"{"Path":"/a b/ü?#%"}"#, "/a%20b/%C3%BC%3F%23%25"), (#"{"Path":"/a/b","RawPath":"/a%2Fb"}"#, "/a%2Fb"),
    (#"{"Path":"/a/b","RawPath":"/other"}"#, "/a/b"), (#"{"Path":"/a b","RawPath":"/a b"}"#, "/a%20b"),
    (#"{"Path":"/a\r\nX: y"}"#, "/a%0D%0AX:%20y"), (#"{"Path":"a","RawQuery":"b=%2F&c"}"#, "/a?b=%2F&c"), ("{}", "/"), ("null", "/"),
    (#"{"Path":"/%zz","RawPath":"/%zz"}"#, "/%25zz"), (#"{"Path":"//evil/x"}"#, "//evil/x"),
  ]) func `the target is path and query alone`(_ url: String, _ target: String) throws {
    #expect(try request(#"{"url":\#(url)}"#).target == target)
  }

  @Test func `which page in a browser it was from stays in the cloud`() throws {
    let request = try request(#"{"header":{"Host":["a"],"Origin":["https://b"],"sec-fetch-site":["cross-site"],"Accept":["c"]}}"#)
    #expect(String(decoding: request.head(host: "h:1"), as: UTF8.self) == "GET / HTTP/1.1\r\nHost: h:1\r\nAccept: c\r\n\r\n")
    #expect(request.headersOfGet(host: "h:1").map(\.0) == ["Host", "Accept", "accept-encoding", "Connection"])
  }

  @Test func `what is missing has no meaning`() throws {
    let request = try request("{}")
    #expect(request.method == "GET" && request.headers.isEmpty)
    #expect(String(decoding: request.head(host: "h:1"), as: UTF8.self) == "GET / HTTP/1.1\r\nHost: h:1\r\n\r\n")
    #expect(try self.request(#"{"header":{"A":null,"B":"c","D":[]},"method":""}"#).headers == [.init(name: "B", value: "c")])
  }
}
