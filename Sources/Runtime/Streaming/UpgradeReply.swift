/// The head of the reply to an upgrade.
struct UpgradeReply: Equatable {
  /// 0 if the line is no status line.
  var status = 0
  /// Of the remote command, empty when it isn't there.
  var protocolVersion = ""

  init(_ head: ArraySlice<UInt8>) {
    let lines = String(decoding: head, as: UTF8.self).split(separator: "\r\n")
    if let first = lines.first?.split(separator: " "), first.count >= 2, first[0].hasPrefix("HTTP/1.") {
      status = Int(first[1]) ?? 0
    }
    for line in lines.dropFirst() {
      guard let colon = line.firstIndex(of: ":"), line[..<colon].lowercased() == "x-stream-protocol-version" else { continue }
      protocolVersion = String(line[line.index(after: colon)...].drop { $0 == " " })
    }
  }

  /// Where the head's empty line ends; nil if it hasn't come yet.
  static func endOfHead(_ bytes: [UInt8]) -> Int? {
    guard bytes.count >= 4 else { return nil }
    for index in 3..<bytes.count
    where bytes[index] == 10 && bytes[index - 1] == 13 && bytes[index - 2] == 10 && bytes[index - 3] == 13 {
      return index + 1
    }
    return nil
  }
}
