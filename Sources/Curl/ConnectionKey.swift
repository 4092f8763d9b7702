/// Keeps connections of different Unix sockets and HTTP versions apart inside libcurl.
///
/// libcurl groups connections by host and port and remembers for a whole group whether it can multiplex. Engines are all called
/// `localhost` over different sockets: an HTTP/1.1 engine would keep an HTTP/2 one from sharing its connection. Over a Unix socket
/// the name to connect to is never looked up, so it can carry the difference.
struct ConnectionKey {
  let connectTo: String

  /// nil over TCP, where the name is needed.
  init?(_ request: HTTPRequest, generation: Int? = nil) {
    guard let path = request.unixSocketPath else { return nil }
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in path.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    let version = generation.map { "h2-\($0)" } ?? "h1"
    connectTo = "::\(version)-\(String(hash, radix: 36)):"
  }
}
