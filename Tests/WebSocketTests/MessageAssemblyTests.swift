import NIOCore
import NIOWebSocket
import Testing

@testable import WebSocket

@Suite struct MessageAssemblyTests {
  private func frame(_ opcode: WebSocketOpcode, _ text: String, fin: Bool = true) -> WebSocketFrame {
    WebSocketFrame(fin: fin, opcode: opcode, data: ByteBuffer(string: text))
  }

  @Test(arguments: [WebSocketOpcode.text, .binary]) func `one frame is a message`(_ opcode: WebSocketOpcode) throws {
    var assembly = MessageAssembly(limit: 10)
    #expect(try assembly.add(frame(opcode, "abc")) == Array("abc".utf8))
    #expect(try assembly.add(frame(opcode, "")) == [])
  }

  @Test func `fragments are put together, empty ones too`() throws {
    var assembly = MessageAssembly(limit: 10)
    for _ in 0..<2 {
      #expect(try assembly.add(frame(.text, "abc", fin: false)) == nil)
      #expect(try assembly.add(frame(.continuation, "", fin: false)) == nil)
      #expect(try assembly.add(frame(.continuation, "def", fin: false)) == nil)
      #expect(try assembly.add(frame(.continuation, "")) == Array("abcdef".utf8))
    }
  }

  @Test func `the limit holds for the sum`() throws {
    var assembly = MessageAssembly(limit: 10)
    #expect(try assembly.add(frame(.text, "0123456789")) != nil)
    #expect(throws: ConnectionError.messageTooLarge(limit: 10)) { try assembly.add(frame(.text, "0123456789A")) }
    assembly = MessageAssembly(limit: 10)
    #expect(try assembly.add(frame(.text, "01234567", fin: false)) == nil)
    #expect(throws: ConnectionError.messageTooLarge(limit: 10)) { try assembly.add(frame(.continuation, "890")) }
  }

  @Test func `order matters`() throws {
    var assembly = MessageAssembly(limit: 10)
    #expect(throws: ConnectionError.self) { try assembly.add(frame(.continuation, "a")) }
    #expect(try assembly.add(frame(.text, "a", fin: false)) == nil)
    #expect(throws: ConnectionError.self) { try assembly.add(frame(.text, "b")) }
  }
}
