import CCurl
import Glibc

/// A libcurl easy handle with the memory that its options point at. Lives on the loop's thread only.
final class EasyHandle {
  let pointer: UnsafeMutableRawPointer
  private let errorBuffer: UnsafeMutablePointer<CChar>
  private var lists: [UnsafeMutablePointer<curl_slist>] = []
  private var failedOption: CURLcode = CURLE_OK

  init?() {
    guard let pointer = curl_easy_init() else { return nil }
    self.pointer = pointer
    errorBuffer = .allocate(capacity: Int(CURL_ERROR_SIZE))
    errorBuffer.pointee = 0
  }

  deinit {
    curl_easy_cleanup(pointer)
    freeLists()
    errorBuffer.deallocate()
  }

  /// Back to a blank handle; what libcurl caches for it stays.
  func reset() {
    curl_easy_reset(pointer)
    freeLists()
    errorBuffer.pointee = 0
    failedOption = CURLE_OK
  }

  private func freeLists() {
    for list in lists { curl_slist_free_all(list) }
    lists.removeAll(keepingCapacity: true)
  }

  // MARK: Options

  private func note(_ code: CURLcode) {
    if code != CURLE_OK && failedOption == CURLE_OK { failedOption = code }
  }

  func set(_ option: CURLoption, _ value: Int) { note(ccurl_setopt_long(pointer, option, value)) }
  func set(_ option: CURLoption, _ value: String) { note(value.withCString { ccurl_setopt_string(pointer, option, $0) }) }
  func set(_ option: CURLoption, _ value: UnsafeRawPointer?) { note(ccurl_setopt_pointer(pointer, option, value)) }
  func set(large option: CURLoption, _ value: Int) { note(ccurl_setopt_off(pointer, option, curl_off_t(value))) }
  func set(_ option: CURLoption, callback: @escaping ccurl_data_callback) {
    note(ccurl_setopt_data_callback(pointer, option, callback))
  }
  func set(seek callback: @escaping ccurl_seek_callback) { note(ccurl_setopt_seek_callback(pointer, callback)) }
  func set(prerequisite callback: @escaping curl_prereq_callback) { note(ccurl_setopt_prereq_callback(pointer, callback)) }

  func set(_ option: CURLoption, list strings: [String]) {
    var list: UnsafeMutablePointer<curl_slist>?
    for string in strings {
      guard let longer = string.withCString({ curl_slist_append(list, $0) }) else {
        note(CURLE_OUT_OF_MEMORY)
        break
      }
      list = longer
    }
    guard let list else { return }
    lists.append(list)
    set(option, UnsafeRawPointer(list))
  }

  /// libcurl copies the bytes.
  func set(body: [UInt8]) {
    set(large: CURLOPT_POSTFIELDSIZE_LARGE, body.count)
    if body.isEmpty {
      set(CURLOPT_COPYPOSTFIELDS, "")
    } else {
      body.withUnsafeBytes { set(CURLOPT_COPYPOSTFIELDS, $0.baseAddress) }
    }
  }

  // MARK: Results

  private func info(_ info: CURLINFO) -> Int {
    var value = 0
    return ccurl_getinfo_long(pointer, info, &value) == CURLE_OK ? value : 0
  }

  var activeSocket: Int32? {
    var value: curl_socket_t = -1
    return ccurl_getinfo_socket(pointer, CURLINFO_ACTIVESOCKET, &value) == CURLE_OK && value >= 0 ? value : nil
  }

  /// How many connections libcurl has made for this request.
  var newConnections: Int { info(CURLINFO_NUM_CONNECTS) }

  /// The error of the option that could not be set, if one failed.
  func optionError(_ label: RequestLabel) -> HTTPError? { failedOption == CURLE_OK ? nil : error(failedOption, label) }

  func error(_ code: CURLcode, _ label: RequestLabel) -> HTTPError {
    var message = String(cString: errorBuffer)
    if message.isEmpty { message = String(cString: curl_easy_strerror(code)) }
    let kind = HTTPError.Kind(code)
    if kind == .couldNotConnect {
      let number = Int32(truncatingIfNeeded: info(CURLINFO_OS_ERRNO))
      if number != 0 {
        let reason = String(cString: strerror(number))
        // libcurl names the URL's host here, which nobody has tried to reach.
        message = label.unixSocketPath == nil ? "\(message) (\(reason))" : reason
      }
    }
    return label.error(kind, message)
  }

  // MARK: Common options

  /// What every handle has, whatever it is used for.
  func setDefaults(for request: HTTPRequest, key: ConnectionKey?) {
    set(CURLOPT_ERRORBUFFER, UnsafeRawPointer(errorBuffer))
    set(CURLOPT_URL, request.url)
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_PROXY, "")
    set(CURLOPT_NOPROXY, "*")
    set(CURLOPT_HTTP09_ALLOWED, 0)
    set(CURLOPT_PATH_AS_IS, 1)
    set(CURLOPT_TCP_NODELAY, 1)
    // A cancelled look-up must not hold up everything else on the loop's thread.
    set(CURLOPT_QUICK_EXIT, 1)
    set(CURLOPT_UPLOAD_BUFFERSIZE, 16_384)
    set(CURLOPT_CONNECTTIMEOUT_MS, (request.connectTimeout ?? .seconds(30)).wholeMilliseconds)
    if let timeout = request.timeout { set(CURLOPT_TIMEOUT_MS, timeout.wholeMilliseconds) }
    if let path = request.unixSocketPath { set(CURLOPT_UNIX_SOCKET_PATH, path) }
    if let key { set(CURLOPT_CONNECT_TO, list: [key.connectTo]) }
    setTLS(request)
  }

  private func setTLS(_ request: HTTPRequest) {
    guard request.isTLS else { return }
    let tls = request.tls
    set(CURLOPT_SSL_VERIFYPEER, tls.verifiesPeer ? 1 : 0)
    set(CURLOPT_SSL_VERIFYHOST, tls.verifiesPeer ? 2 : 0)
    if let file = tls.caFile {
      set(CURLOPT_CAINFO, file)
      set(CURLOPT_CAPATH, UnsafeRawPointer?.none)
    }
    if let file = tls.certificateFile { set(CURLOPT_SSLCERT, file) }
    if let file = tls.privateKeyFile { set(CURLOPT_SSLKEY, file) }
    // What the files say now counts: libcurl would trust the authorities of a file for a day, and resume sessions of another certificate
    // that had the same file's name.
    set(CURLOPT_CA_CACHE_TIMEOUT, 0)
    set(CURLOPT_SSL_SESSIONID_CACHE, 0)
  }
}

extension Duration {
  /// At least 1: libcurl takes 0 for "none".
  fileprivate var wholeMilliseconds: Int {
    let (seconds, attoseconds) = components
    return max(1, Int(min(seconds, 2_000_000)) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
  }
}

extension HTTPError.Kind {
  init(_ code: CURLcode) {
    switch code {
    case CURLE_URL_MALFORMAT, CURLE_BAD_FUNCTION_ARGUMENT, CURLE_UNKNOWN_OPTION, CURLE_NOT_BUILT_IN: self = .invalidRequest
    case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY: self = .couldNotConnect
    case CURLE_OPERATION_TIMEDOUT: self = .timedOut
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER,
      CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CRL_BADFILE, CURLE_SSL_ISSUER_ERROR, CURLE_SSL_PINNEDPUBKEYNOTMATCH,
      CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_CLIENTCERT, CURLE_SSL_ENGINE_NOTFOUND, CURLE_SSL_SHUTDOWN_FAILED:
      self = .tls
    case CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_GOT_NOTHING, CURLE_PARTIAL_FILE, CURLE_HTTP2, CURLE_HTTP2_STREAM,
      CURLE_SEND_FAIL_REWIND:
      self = .connectionLost
    case CURLE_WEIRD_SERVER_REPLY, CURLE_UNSUPPORTED_PROTOCOL, CURLE_BAD_CONTENT_ENCODING: self = .invalidResponse
    default: self = .other
    }
  }
}
