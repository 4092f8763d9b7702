/// One record of a container's log.
///
/// Engines of the Container Runtime Interface write `<RFC 3339 time> <stdout|stderr> <P|F>[:<tag>…] <content>`,
/// Docker writes `{"log": "<content>\n", "stream": "stdout", "time": "<RFC 3339 time>"}`.
struct LogLine: Equatable {
  enum Stream: Equatable {
    case stdout
    case stderr
  }

  /// The time as it was written.
  var time: ArraySlice<UInt8>
  var stream: Stream
  /// Whether the next record of the same stream continues this line.
  var isPartial: Bool
  /// Without the newline.
  var content: ArraySlice<UInt8>

  init(time: ArraySlice<UInt8>, stream: Stream, isPartial: Bool, content: ArraySlice<UInt8>) {
    self.time = time
    self.stream = stream
    self.isPartial = isPartial
    self.content = content
  }

  /// - Parameter record: one line of the file without its newline. nil if it is no log record.
  init?(_ record: ArraySlice<UInt8>) {
    if record.first == UInt8(ascii: "{") {
      self.init(docker: record)
    } else {
      self.init(cri: record)
    }
  }

  private init?(cri record: ArraySlice<UInt8>) {
    let space = UInt8(ascii: " ")
    guard let timeEnd = record.firstIndex(of: space), timeEnd - record.startIndex >= 20 else { return nil }
    let afterTime = record[(timeEnd + 1)...]
    guard let streamEnd = afterTime.firstIndex(of: space), let stream = Stream(afterTime[..<streamEnd]) else { return nil }
    let afterStream = record[(streamEnd + 1)...]
    let tagsEnd = afterStream.firstIndex(of: space) ?? record.endIndex
    let firstTag = afterStream[..<tagsEnd].prefix { $0 != UInt8(ascii: ":") }
    guard firstTag.count == 1, let tag = firstTag.first, tag == UInt8(ascii: "P") || tag == UInt8(ascii: "F") else { return nil }
    self.init(
      time: record[..<timeEnd], stream: stream, isPartial: tag == UInt8(ascii: "P"),
      content: tagsEnd < record.endIndex ? record[(tagsEnd + 1)...] : [])
  }

  /// The time with nine digits of fraction, its zone as it was written.
  var timestamp: [UInt8] {
    var head = time[...]
    var zone = time[time.endIndex...]
    if let zoneStart = time.dropFirst(19).firstIndex(where: { $0 != UInt8(ascii: ".") && !(0x30...0x39).contains($0) }) {
      head = time[..<zoneStart]
      zone = time[zoneStart...]
    }
    var fraction = Array(head.dropFirst(20).prefix(9))
    fraction.append(contentsOf: repeatElement(UInt8(ascii: "0"), count: 9 - fraction.count))
    return Array(head.prefix(19)) + [UInt8(ascii: ".")] + fraction + zone
  }
}

extension LogLine.Stream {
  init?(_ name: ArraySlice<UInt8>) {
    if name.elementsEqual("stdout".utf8) {
      self = .stdout
    } else if name.elementsEqual("stderr".utf8) {
      self = .stderr
    } else {
      return nil
    }
  }
}
