import Curl
import Testing

@testable import GRPC

@Suite("gRPC framing and status")
struct GRPCFormatTests {
  @Test(arguments: [1, 2, 3, 7, 1000])
  func framesAreFoundHoweverTheBytesAreCut(size: Int) throws {
    let messages: [[UInt8]] = [[], [1], Array(repeating: 7, count: 300), [2, 3]]
    let bytes = messages.flatMap(GRPCFrames.encode)
    var frames = GRPCFrames(limit: 300)
    var found: [[UInt8]] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      frames.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let message = try frames.next() { found.append(message) }
    }
    #expect(found == messages)
    #expect(!frames.isIncomplete)
  }

  @Test func aCutFrameIsIncomplete() throws {
    var frames = GRPCFrames(limit: 100)
    frames.append([0, 0, 0, 0, 3, 1, 2])
    #expect(try frames.next() == nil)
    #expect(frames.isIncomplete)
  }

  @Test func tooLargeOrCompressedMessagesAreRefused() {
    var frames = GRPCFrames(limit: 4)
    frames.append([0, 0, 0, 0, 5])
    #expect(throws: GRPCError.self) { try frames.next() }
    var compressed = GRPCFrames(limit: 4)
    compressed.append([1, 0, 0, 0, 1, 9])
    #expect(throws: GRPCError.self) { try compressed.next() }
  }

  @Test(arguments: [
    ("", ""), ("plain text", "plain text"), ("caf%C3%A9 100%25", "café 100%"), ("50% of %zz %4", "50% of %zz %4"), ("%0a%2F", "\n/"),
  ])
  func messagesArePercentDecoded(encoded: String, decoded: String) {
    #expect(GRPCStatus.percentDecoded(encoded) == decoded)
  }

  @Test(arguments: [
    (Duration.milliseconds(1), "1m"), (.zero, "1m"), (.microseconds(1500), "2m"), (.seconds(2), "2000m"), (.seconds(120), "120000m"),
    (.seconds(100_000), "100000S"), (.seconds(1_000_000_000), "99999999S"),
  ])
  func timeoutsHaveAtMostEightDigits(duration: Duration, text: String) {
    #expect(GRPCStatus.timeout(duration) == text)
  }

  @Test func theStatusStandsInTrailersOrInTheHead() throws {
    let ok = [HTTPField("grpc-status", "0")]
    try GRPCStatus.check(httpStatus: 200, headers: [], trailers: ok)
    try GRPCStatus.check(httpStatus: 200, headers: ok, trailers: [])
    let notFound = [HTTPField("Grpc-Status", "5"), HTTPField("grpc-message", "no%20such")]
    #expect(throws: GRPCError(.notFound, "no such")) {
      try GRPCStatus.check(httpStatus: 200, headers: notFound, trailers: [])
    }
    #expect(throws: GRPCError(.notFound, "no such")) {
      try GRPCStatus.check(httpStatus: 200, headers: [], trailers: notFound)
    }
    #expect(throws: GRPCError(.unknown, "")) {
      try GRPCStatus.check(httpStatus: 200, headers: [], trailers: [HTTPField("grpc-status", "99")])
    }
  }

  @Test(arguments: [
    (200, GRPCError.Code.unavailable), (404, .unimplemented), (503, .unavailable), (403, .permissionDenied), (302, .unknown),
  ])
  func aReplyWithoutStatusIsJudgedByHTTP(status: Int, code: GRPCError.Code) throws {
    let error = #expect(throws: GRPCError.self) { try GRPCStatus.check(httpStatus: status, headers: [], trailers: []) }
    #expect(error?.code == code)
  }

  @Test func codesHaveTheirNumbers() {
    #expect(GRPCError.Code(rawValue: 16) == .unauthenticated)
    #expect(GRPCError.Code(rawValue: 12) == .unimplemented)
    #expect(GRPCError.Code(rawValue: 4) == .deadlineExceeded)
  }

  @Test func healthMessages() {
    #expect(GRPCChannel.healthRequest("") == [])
    #expect(GRPCChannel.healthRequest("ab") == [0x0a, 2, 0x61, 0x62])
    #expect(GRPCChannel.healthRequest(String(repeating: "x", count: 200)).prefix(3) == [0x0a, 0xc8, 0x01])
    #expect(GRPCChannel.healthStatus([0x08, 1]) == .serving)
    #expect(GRPCChannel.healthStatus([0x08, 2]) == .notServing)
    #expect(GRPCChannel.healthStatus([]) == .unknown)
  }

  @Test func nobodyListening() async throws {
    let http = HTTPClient()
    let channel = GRPCChannel(.address(host: "127.0.0.1", port: 1), http: http)
    let error = await #expect(throws: GRPCError.self) { try await channel.health(timeout: .seconds(5)) }
    #expect(error?.code == .unavailable)
    await http.shutdown()
  }
}
