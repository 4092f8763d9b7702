import HTTPServer
import LocalAPI
import Runtime

/// Carries a session's streams to and from a connection until the command ends or the peer goes away.
struct ExecRelay: Sendable {
  var session: any StreamSession
  var connection: StreamConnection

  func run() async {
    await withTaskGroup(of: Void.self) { group in
      group.addTask { await sendOutput() }
      group.addTask {
        // The peer ended its side: without it, nobody is left to write for.
        try? await receiveInput()
      }
      await group.next()
      group.cancelAll()
    }
  }

  private func sendOutput() async {
    do {
      var hasExited = false
      for try await output in session.output {
        switch output {
        case .stdout(let bytes): try await send(.stdout, bytes)
        case .stderr(let bytes): try await send(.stderr, bytes)
        case .exited(let code):
          hasExited = true
          try await send(.exited, Array(String(code).utf8))
        }
      }
      // An attached container reports no exit; its streams have ended.
      if !hasExited { try await send(.exited, Array("0".utf8)) }
    } catch {
      try? await send(.failed, Array("\(error)".utf8))
    }
  }

  private func send(_ kind: StreamFrame.Kind, _ bytes: [UInt8]) async throws {
    var rest = bytes[...]
    repeat {
      try await connection.write(StreamFrame(kind, Array(rest.prefix(StreamFrame.payloadLimit))).bytes)
      rest = rest.dropFirst(StreamFrame.payloadLimit)
    } while !rest.isEmpty
  }

  private func receiveInput() async throws {
    var decoder = StreamFrameDecoder()
    try await connection.read { bytes in
      for frame in try decoder.add(bytes) {
        switch frame.kind {
        case .stdin where frame.payload.isEmpty: try await session.closeInput()
        case .stdin: try await session.write(frame.payload)
        case .resize:
          if let size = frame.size { try await session.resize(columns: size.columns, rows: size.rows) }
        case .stdout, .stderr, .exited, .failed: break
        }
      }
    }
  }
}
