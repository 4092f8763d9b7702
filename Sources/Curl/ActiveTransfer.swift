import CCurl

/// A transfer inside libcurl: the handle, its callbacks and what has come in this round. Lives on the loop's thread only.
final class ActiveTransfer {
  let transfer: Transfer
  let easy: EasyHandle
  let choice: ConnectionChoice
  /// How often the request has been given to libcurl, this time included.
  let attempt: Int
  /// libcurl would have used a connection that this request can't open.
  private(set) var hasDeclined = false
  /// The connection was lost behind a request that must not be sent twice.
  private var wasLost = false
  /// The task has given up, or can't keep up: libcurl's bytes go nowhere.
  private(set) var isRefused = false
  private var isSent = false
  private let changes: RoundChanges
  private var parser = ResponseHeadParser()
  private var isChanged = false

  init(_ transfer: Transfer, easy: EasyHandle, choice: ConnectionChoice, attempt: Int, changes: RoundChanges) {
    self.transfer = transfer
    self.easy = easy
    self.choice = choice
    self.attempt = attempt
    self.changes = changes
  }

  // MARK: Options

  func configure() throws(HTTPError) {
    let request = transfer.request
    easy.setDefaults(for: request, key: ConnectionKey(request, generation: choice.generation))
    switch choice {
    case .any:
      easy.set(CURLOPT_HTTP_VERSION, Int(request.version == .http1 ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS))
    case .opens:
      easy.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE))
      easy.set(CURLOPT_FRESH_CONNECT, 1)
    case .joins:
      // Over http this version neither opens HTTP/2 nor asks for an upgrade.
      easy.set(CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_2TLS))
    }
    if request.version != .http1 { easy.set(CURLOPT_PIPEWAIT, 1) }
    if request.isolatesConnection {
      easy.set(CURLOPT_FRESH_CONNECT, 1)
      easy.set(CURLOPT_FORBID_REUSE, 1)
    }
    setBody(request)
    easy.set(CURLOPT_HTTPHEADER, list: headerLines(request))
    setCallbacks(request)
    if let error = easy.optionError(request.label) { throw error }
  }

  private func setBody(_ request: HTTPRequest) {
    if request.method == "HEAD" {
      easy.set(CURLOPT_NOBODY, 1)
      return
    }
    switch request.body {
    case .none:
      // An absent body is said with "Content-Length: 0" where one is usual.
      if ["POST", "PUT", "PATCH"].contains(request.method) {
        easy.set(CURLOPT_POST, 1)
        easy.set(body: [])
      }
    case .bytes(let bytes):
      easy.set(CURLOPT_POST, 1)
      easy.set(body: bytes)
    case .stream:
      easy.set(CURLOPT_UPLOAD, 1)
      easy.set(large: CURLOPT_INFILESIZE_LARGE, request.headers.first(named: "Content-Length").flatMap { Int($0) } ?? -1)
    }
    if request.method != "GET" || !request.body.isNone { easy.set(CURLOPT_CUSTOMREQUEST, request.method) }
  }

  private func headerLines(_ request: HTTPRequest) -> [String] {
    var lines: [String] = []
    lines.reserveCapacity(request.headers.count + 3)
    for field in request.headers where !field.isNamed("content-length") {
      // "Name:" would remove a header that libcurl adds, "Name;" sends an empty one.
      lines.append(field.value.isEmpty ? "\(field.name);" : "\(field.name): \(field.value)")
    }
    for name in ["Accept", "Expect", "Content-Type"] where request.headers.first(named: name) == nil { lines.append("\(name):") }
    return lines
  }

  private func setCallbacks(_ request: HTTPRequest) {
    let context = UnsafeRawPointer(Unmanaged.passUnretained(self).toOpaque())
    easy.set(CURLOPT_PRIVATE, context)
    easy.set(CURLOPT_HEADERDATA, context)
    easy.set(CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
      ActiveTransfer.from(context)?.header(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
    }
    easy.set(CURLOPT_WRITEDATA, context)
    easy.set(CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
      ActiveTransfer.from(context)?.body(UnsafeRawBufferPointer(start: bytes, count: size * count)) ?? 0
    }
    if choice.joins || !request.isRepeatable {
      easy.set(CURLOPT_PREREQDATA, context)
      easy.set(prerequisite: { context, _, _, _, _ in
        ActiveTransfer.from(context)?.acceptsConnection() == true ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
      })
    }
    guard case .stream = request.body else { return }
    easy.set(CURLOPT_READDATA, context)
    easy.set(CURLOPT_READFUNCTION) { bytes, size, count, context in
      ActiveTransfer.from(context)?.upload(UnsafeMutableRawBufferPointer(start: bytes, count: size * count)) ?? 0
    }
    easy.set(CURLOPT_SEEKDATA, context)
    easy.set(seek: { context, offset, _ in
      offset == 0 && ActiveTransfer.from(context)?.transfer.canRewind == true ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL
    })
  }

  static func from(_ context: UnsafeMutableRawPointer?) -> ActiveTransfer? {
    context.map { Unmanaged<ActiveTransfer>.fromOpaque($0).takeUnretainedValue() }
  }

  // MARK: Callbacks

  private func markChanged() {
    guard !isChanged else { return }
    isChanged = true
    changes.transfers.append(self)
  }

  /// Asked when the connection stands and nothing was sent over it. libcurl asks again when a kept connection turned out to be
  /// dead before the first byte of a reply.
  private func acceptsConnection() -> Bool {
    wasLost = isSent && !transfer.request.isRepeatable
    hasDeclined = !wasLost && choice.joins && easy.newConnections > 0
    isSent = true
    return !wasLost && !hasDeclined
  }

  private func header(_ line: UnsafeRawBufferPointer) -> Int {
    let hadHead = parser.head != nil
    parser.take(line: line)
    if !hadHead && parser.head != nil { markChanged() }
    return line.count
  }

  private func body(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch transfer.receive(bytes) {
    case .taken:
      markChanged()
      return bytes.count
    case .pause: return Int(CURL_WRITEFUNC_PAUSE)
    case .refuse:
      isRefused = true
      markChanged()
      return bytes.count
    }
  }

  private func upload(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
    switch transfer.send(into: buffer) {
    case .bytes(let count): count
    case .pause: Int(CURL_READFUNC_PAUSE)
    case .end: 0
    }
  }

  // MARK: Rounds

  /// After libcurl has done what it could: wakes the task once, however many callbacks there were.
  func publishChanges() {
    isChanged = false
    transfer.publish(head: parser.head)
  }

  func unpause() -> CURLcode {
    let pauses = transfer.pauses
    let bits = (pauses.receiving ? CURLPAUSE_RECV : 0) | (pauses.sending ? CURLPAUSE_SEND : 0)
    let code = curl_easy_pause(easy.pointer, bits)
    // Without a connection there is nothing to pause, and nothing was.
    return code == CURLE_BAD_FUNCTION_ARGUMENT ? CURLE_OK : code
  }

  /// Makes libcurl flush the connection and look again at what it has already read from it.
  func nudge() {
    let pauses = transfer.pauses
    guard !pauses.receiving else { return }
    let sending = pauses.sending ? CURLPAUSE_SEND : 0
    curl_easy_pause(easy.pointer, CURLPAUSE_RECV | sending)
    curl_easy_pause(easy.pointer, sending)
  }

  func complete(_ code: CURLcode) {
    let label = transfer.request.label
    let result: Result<Void, any Error> =
      if wasLost {
        .failure(label.error(.connectionLost, "the peer closed the connection before it replied"))
      } else if hasDeclined {
        .failure(label.error(.connectionLost, "the peer closes its connections"))
      } else if code != CURLE_OK {
        .failure(easy.error(code, label))
      } else if parser.head == nil {
        .failure(label.error(.connectionLost, "the connection ended inside the response's head"))
      } else {
        .success(())
      }
    transfer.finish(result, head: parser.head, trailers: parser.trailers)
  }
}

/// The transfers that have news for their tasks.
final class RoundChanges {
  var transfers: [ActiveTransfer] = []
}

extension HTTPRequest {
  /// Whether the peer may see it twice.
  fileprivate var isRepeatable: Bool { method != "POST" && method != "PATCH" }
}

extension HTTPRequestBody {
  fileprivate var isNone: Bool {
    if case .none = self { true } else { false }
  }
}

extension HTTPField {
  fileprivate func isNamed(_ lowercased: String) -> Bool {
    name.utf8.count == lowercased.utf8.count && name.lowercased() == lowercased
  }
}
