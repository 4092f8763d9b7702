import SPDY
import Testing

@testable import Runtime

@Suite("Remote command frames")
struct CRIStreamingTests {
  @Test(arguments: [1, 3, 8, 1000])
  func framesAreTakenApartHoweverTheBytesAreCut(size: Int) throws {
    let reply: [UInt8] = [0x80, 3, 0, 2, 0, 0, 0, 6, 0, 0, 0, 5, 9, 9]
    let ping: [UInt8] = [0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 2]
    let reset: [UInt8] = [0x80, 3, 0, 3, 0, 0, 0, 8, 0, 0, 0, 3, 0, 0, 0, 5]
    let goAway: [UInt8] = [0x80, 3, 0, 7, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0]
    let settings: [UInt8] = [0x80, 3, 0, 4, 0, 0, 0, 0]
    let bytes =
      reply + SPDYFrame.data(stream: 5, [1, 2, 3]) + ping + settings + SPDYFrame.data(stream: 7, [4], isLast: true)
      + SPDYFrame.data(stream: 9, [], isLast: true) + reset + goAway
    var decoder = SPDYDecoder()
    var data: [UInt32: [UInt8]] = [:]
    var rest: [SPDYDecoder.Event] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      decoder.append(Array(bytes[start..<min(start + size, bytes.count)]))
      while let event = try decoder.next() {
        if case .data(let stream, let piece) = event { data[stream, default: []] += piece } else { rest.append(event) }
      }
    }
    #expect(data == [5: [1, 2, 3], 7: [4]])
    #expect(rest == [.ping(id: 2), .ended(stream: 7), .ended(stream: 9), .ended(stream: 3), .goAway])
  }

  @Test func anotherVersionIsRefused() {
    var decoder = SPDYDecoder()
    decoder.append([0x80, 2, 0, 6, 0, 0, 0, 4])
    #expect(throws: SPDYDecoder.ProtocolError.self) { try decoder.next() }
  }

  @Test func headerBlocksFormOneStream() {
    var block = SPDYHeaderBlock()
    let first = block.encode([("a", "b")])
    let plain: [UInt8] = [0, 0, 0, 1, 0, 0, 0, 1, 0x61, 0, 0, 0, 1, 0x62]
    let stored: [UInt8] = [0, 14, 0, 241, 255] + plain + [0, 0, 0, 255, 255]
    #expect(first == [0x78, 0x01] + stored)
    #expect(block.encode([("a", "b")]) == stored)
  }

  @Test func onlyWantedStreamsAreOpened() {
    let all = RemoteCommandStreams(StreamOptions(stdin: true, tty: true))
    #expect(all.stdin == 3)
    #expect(all.stdout == 5)
    #expect(all.stderr == nil)
    #expect(all.resize == 7)
    let quiet = RemoteCommandStreams(StreamOptions(stdin: false, stdout: false, stderr: true))
    #expect(quiet.stdin == nil)
    #expect(quiet.stderr == 3)
  }

  @Test(arguments: [
    (#"{"metadata":{},"status":"Success"}"#, Int32(0)),
    (
      #"{"metadata":{},"status":"Failure","message":"exit 3","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"3"}]}}"#,
      3
    ),
  ])
  func exitCodes(json: String, code: Int32) throws {
    #expect(try RemoteCommandStatus.exitCode(Array(json.utf8), operation: "Exec") == code)
  }

  @Test func aCommandThatCouldNotRun() {
    let json = #"{"status":"Failure","message":"no such file","reason":"InternalError"}"#
    let error = #expect(throws: RuntimeError.self) { try RemoteCommandStatus.exitCode(Array(json.utf8), operation: "Exec") }
    #expect(error?.message == "no such file")
  }
}
