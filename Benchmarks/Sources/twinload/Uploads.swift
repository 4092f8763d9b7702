import ArgumentParser
import Glibc

/// Sends messages for the cloud as fast as a broker takes them, at as little cost as can be: on a small machine a client that does more would
/// slow down what is to be measured.
struct Uploads: ParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Sends messages for the cloud with QoS 1, as fast as the broker takes them.")

  @Option(help: "How many.")
  var messages = 10_000

  @Option(help: "Bytes of each.")
  var size = 256

  @Option(help: "The topic; what isn't below +/user/ needs a rule of the cloud.")
  var topic = "load/user/uploads"

  @Option(help: "The broker's address.")
  var host = "127.0.0.1"

  @Option(help: "The broker's port.")
  var port: UInt16 = 1883

  func run() throws {
    let socket = try connect()
    defer { close(socket) }
    var packets: [UInt8] = []
    packets.reserveCapacity(messages * (size + topic.utf8.count + 8))
    for number in 0..<messages { packets += publication(number) }
    let start = ContinuousClock.now
    var written = 0
    var confirmed = 0
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    // A confirmation has four bytes.
    while confirmed < messages * 4 {
      var item = pollfd(fd: socket, events: Int16(POLLIN | (written < packets.count ? POLLOUT : 0)), revents: 0)
      guard poll(&item, 1, 30_000) > 0 else { throw ValidationError("the broker says nothing any more") }
      if Int32(item.revents) & POLLOUT != 0 {
        let count = packets.withUnsafeBytes {
          send(socket, $0.baseAddress?.advanced(by: written), $0.count - written, Int32(MSG_DONTWAIT))
        }
        if count > 0 { written += count }
      }
      if Int32(item.revents) & (POLLIN | POLLHUP) != 0 {
        let count = recv(socket, &buffer, buffer.count, 0)
        guard count > 0 else { throw ValidationError("the broker has ended the connection") }
        confirmed += count
      }
    }
    print("\(messages) messages confirmed by the broker in \((ContinuousClock.now - start) / .seconds(1)) s")
  }

  private func connect() throws -> Int32 {
    let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else { throw ValidationError("\(host) is no IPv4 address") }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.connect(socket, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
    guard result == 0 else { throw ValidationError("can't connect to \(host):\(port): \(String(cString: strerror(errno)))") }
    let id = Array("twinload-\(getpid())".utf8)
    // MQTT 3.1.1, a clean session, signs of life each minute.
    let head = Self.text("MQTT") + [4, 2, 0, 60]
    let hello = [0x10, UInt8(head.count + 2 + id.count)] + head + [0, UInt8(id.count)] + id
    guard send(socket, hello, hello.count, 0) == hello.count else { throw ValidationError("can't write to the broker") }
    var answer = [UInt8](repeating: 0, count: 4)
    guard recv(socket, &answer, 4, Int32(MSG_WAITALL)) == 4, answer[3] == 0 else {
      throw ValidationError("the broker refuses the connection")
    }
    return socket
  }

  private func publication(_ number: Int) -> [UInt8] {
    let start = Array("\(number) ".utf8)
    let payload = start + [UInt8](repeating: UInt8(ascii: "x"), count: max(0, size - start.count))
    let id = UInt16(number % 65_535 + 1)
    let rest = Self.text(topic) + [UInt8(id >> 8), UInt8(id & 0xFF)] + payload
    var length: [UInt8] = []
    var left = rest.count
    repeat {
      length.append(UInt8(left & 0x7F) | (left > 0x7F ? 0x80 : 0))
      left >>= 7
    } while left > 0
    return [0x32] + length + rest
  }

  private static func text(_ text: String) -> [UInt8] {
    let bytes = Array(text.utf8)
    return [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes
  }
}
