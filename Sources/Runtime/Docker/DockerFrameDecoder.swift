/// Takes apart the stream of a process without a terminal: frames of one byte for the stream (1 output, 2 errors), three zero
/// bytes, a big-endian length of four bytes, and that many bytes. What is there of a frame is handed on at once.
struct DockerFrameDecoder: Sendable {
  struct Malformed: Error, CustomStringConvertible {
    var stream: UInt8
    var description: String { "the engine sent a frame of stream \(stream); 0 to 3 are allowed" }
  }

  enum Stream: UInt8, Sendable {
    /// Docker writes 0 for output in rare cases.
    case stdin = 0
    case stdout = 1
    case stderr = 2
    /// The engine's own message about the stream.
    case system = 3
  }

  private var header: [UInt8] = []
  private var stream = Stream.stdout
  private var remaining = 0

  /// True in the middle of a frame: an end here means that bytes are missing.
  var isMidFrame: Bool { remaining > 0 || !header.isEmpty }

  mutating func decode(_ bytes: [UInt8]) throws -> [StreamOutput] {
    var output: [StreamOutput] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      if remaining == 0 {
        let missing = rest.prefix(8 - header.count)
        header += missing
        rest = rest.dropFirst(missing.count)
        guard header.count == 8 else { break }
        guard let stream = Stream(rawValue: header[0]) else { throw Malformed(stream: header[0]) }
        self.stream = stream
        remaining = header[4...].reduce(0) { $0 << 8 | Int($1) }
        header.removeAll(keepingCapacity: true)
      } else {
        let piece = Array(rest.prefix(remaining))
        rest = rest.dropFirst(piece.count)
        remaining -= piece.count
        output.append(stream == .stderr || stream == .system ? .stderr(piece) : .stdout(piece))
      }
    }
    return output
  }
}
