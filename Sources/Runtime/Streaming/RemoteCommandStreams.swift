import SPDY

/// The numbers of a session's streams. A client's are odd and ascend in the order of opening.
struct RemoteCommandStreams {
  let error: UInt32 = 1
  private(set) var stdin: UInt32?
  private(set) var stdout: UInt32?
  private(set) var stderr: UInt32?
  private(set) var resize: UInt32?

  init(_ options: StreamOptions) {
    var last = error
    func next() -> UInt32 {
      last += 2
      return last
    }
    if options.stdin { stdin = next() }
    if options.stdout { stdout = next() }
    if options.stderr { stderr = next() }
    if options.tty { resize = next() }
  }

  /// The engine starts the command when all the streams it was promised are open.
  func openingFrames() -> [UInt8] {
    var block = SPDYHeaderBlock()
    var frames: [UInt8] = []
    let streams: [(UInt32?, String)] = [
      (error, "error"), (stdin, "stdin"), (stdout, "stdout"), (stderr, "stderr"), (resize, "resize"),
    ]
    for case (let id?, let type) in streams {
      frames.append(contentsOf: SPDYFrame.open(stream: id, headerBlock: block.encode([("streamtype", type)])))
    }
    return frames
  }
}
