import CLinux
import Curl
import Glibc
import LocalAPI

/// The edgectl side of an exec: our terminal on one end, frames on the other.
struct ExecSession: Sendable {
  var connection: RawConnection
  var sendsInput: Bool
  var hasTerminal: Bool

  /// Returns the command's exit code.
  func run(first: [UInt8]) async throws -> Int32 {
    let terminal = hasTerminal ? Terminal.makeRaw() : nil
    defer { terminal?.restore() }
    return try await withThrowingTaskGroup(of: Int32?.self) { group in
      group.addTask { try await receive(first) }
      if sendsInput { group.addTask { try await sendInput() } }
      if hasTerminal { group.addTask { try await sendSizes() } }
      defer { group.cancelAll() }
      while let code = try await group.next() {
        if let code {
          await connection.close()
          return code
        }
      }
      throw CommandFailure("the agent ended the connection")
    }
  }

  private func receive(_ first: [UInt8]) async throws -> Int32 {
    var decoder = StreamFrameDecoder()
    var bytes: [UInt8]? = first
    while let piece = bytes {
      for frame in try decoder.add(piece) {
        switch frame.kind {
        case .stdout: try Terminal.write(frame.payload, to: STDOUT_FILENO)
        case .stderr: try Terminal.write(frame.payload, to: STDERR_FILENO)
        case .exited: return Int32(String(decoding: frame.payload, as: UTF8.self)) ?? 1
        case .failed: throw CommandFailure(String(decoding: frame.payload, as: UTF8.self))
        case .stdin, .resize: break
        }
      }
      bytes = try await connection.read()
    }
    throw CommandFailure("the agent ended the connection before the command ended")
  }

  private func sendInput() async throws -> Int32? {
    for await bytes in Terminal.input() { try await connection.write(StreamFrame(.stdin, bytes).bytes) }
    if !Task.isCancelled { try await connection.write(StreamFrame(.stdin, []).bytes) }
    return nil
  }

  private func sendSizes() async throws -> Int32? {
    for await size in Terminal.sizes() {
      try await connection.write(StreamFrame.resize(columns: size.columns, rows: size.rows).bytes)
    }
    return nil
  }
}
