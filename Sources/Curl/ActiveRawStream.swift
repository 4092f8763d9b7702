import CCurl
import Glibc

/// A raw stream inside libcurl. Lives on the loop's thread only.
final class ActiveRawStream {
  let stream: RawStream
  let easy: EasyHandle
  /// Once connected.
  var socket: Int32?

  init(_ stream: RawStream, easy: EasyHandle) {
    self.stream = stream
    self.easy = easy
  }

  func configure() throws(HTTPError) {
    easy.setDefaults(for: stream.request, key: ConnectionKey(stream.request))
    easy.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
    easy.set(CURLOPT_CONNECT_ONLY, 1)
    easy.set(CURLOPT_FRESH_CONNECT, 1)
    if let error = easy.optionError(stream.request.label) { throw error }
  }

  /// The error, if the connection doesn't stand.
  func connected(_ code: CURLcode) -> HTTPError? {
    guard code == CURLE_OK else { return easy.error(code, stream.request.label) }
    socket = easy.activeSocket
    return socket == nil ? stream.request.label.error(.connectionLost, "the connection has no socket") : nil
  }

  /// What to wait for. A stream that waits for nothing isn't polled: poll reports a hang-up whether asked for or not.
  var interests: Int16 {
    let wishes = stream.wishes
    return (wishes.reads ? Int16(CURL_WAIT_POLLIN) : 0) | (wishes.writes ? Int16(CURL_WAIT_POLLOUT) : 0)
  }

  /// Moves what can be moved without waiting; false when the connection is of no more use.
  func serve() -> Bool {
    do throws(HTTPError) {
      try write()
      try read()
    } catch {
      stream.fail(error)
      return false
    }
    return !stream.isEnded
  }

  private func read() throws(HTTPError) {
    while stream.wishes.reads {
      var count = 0
      let code = withUnsafeTemporaryAllocation(byteCount: 16_384, alignment: 16) { buffer in
        let code = curl_easy_recv(easy.pointer, buffer.baseAddress, buffer.count, &count)
        if code == CURLE_OK { stream.received(UnsafeRawBufferPointer(rebasing: buffer[..<count])) }
        return code
      }
      if code == CURLE_AGAIN { break }
      guard code == CURLE_OK else { throw easy.error(code, stream.request.label) }
    }
    stream.publish()
  }

  private func write() throws(HTTPError) {
    while let bytes = stream.nextOutgoing() {
      var count = 0
      let code = bytes.withUnsafeBytes { curl_easy_send(easy.pointer, $0.baseAddress, $0.count, &count) }
      if code == CURLE_AGAIN { return }
      guard code == CURLE_OK else { throw easy.error(code, stream.request.label) }
      stream.sent(count)
    }
    if stream.takeEndOfWriting() {
      if let socket { _ = shutdown(socket, Int32(SHUT_WR)) }
      stream.endedWriting()
    }
  }
}
