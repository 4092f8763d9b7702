import HTTPServer
import KubernetesAPI

/// The parameters of a request for logs, with the kubelet's rules.
struct LogQuery: Sendable, Hashable {
  var follow = false
  var previous = false
  var timestamps = false
  var sinceSeconds: Int64?
  var sinceTime: Timestamp?
  var tailLines: Int64?
  var limitBytes: Int64?

  /// - Throws: `ServerError` 400 for what can't be read, 422 for what isn't allowed.
  init(_ request: ServerRequest) throws(ServerError) {
    follow = Self.flag(request, "follow")
    previous = Self.flag(request, "previous")
    timestamps = Self.flag(request, "timestamps")
    sinceSeconds = try Self.number(request, "sinceSeconds")
    limitBytes = try Self.number(request, "limitBytes")
    // Old clients say `tail`, which is a number or `all`.
    switch request.queryValue("tail") {
    case nil, "": tailLines = try Self.number(request, "tailLines")
    case "all": tailLines = nil
    case let tail?: tailLines = try Self.number(tail)
    }
    let time = request.queryValue("sinceTime")
    if let time, !time.isEmpty, time != "null" {
      guard let parsed = Timestamp(time) else { throw Self.unreadable }
      sinceTime = parsed
    }
    guard sinceSeconds == nil || time == nil, sinceSeconds.map({ $0 > 0 }) ?? true, limitBytes.map({ $0 > 0 }) ?? true,
      tailLines.map({ $0 >= 0 }) ?? true, [nil, "All"].contains(request.queryValue("stream"))
    else { throw Self.notAllowed }
  }

  /// What the reader is to do, with times counted back from `now`.
  func options(now: Timestamp) -> LogOptions {
    let since = sinceTime ?? sinceSeconds.map { now + .seconds(-Swift.min($0, Self.longest)) }
    return LogOptions(
      tailLines: tailLines.map { Int($0) }, since: since, limitBytes: limitBytes, timestamps: timestamps)
  }

  /// A century: more seconds than any log has.
  private static let longest: Int64 = 100 * 366 * 86400

  private static let unreadable = ServerError(status: 400, message: #"{"message": "Unable to decode query."}"#)
  private static let notAllowed = ServerError(status: 422, message: #"{"message": "Invalid request."}"#)

  /// Everything but `false` and `0` says yes.
  private static func flag(_ request: ServerRequest, _ name: String) -> Bool {
    guard let value = request.queryValue(name) else { return false }
    return value != "0" && value.lowercased() != "false"
  }

  private static func number(_ request: ServerRequest, _ name: String) throws(ServerError) -> Int64? {
    try request.queryValue(name).map { text throws(ServerError) in try number(text) }
  }

  private static func number(_ text: String) throws(ServerError) -> Int64 {
    guard let number = Int64(text) else { throw unreadable }
    return number
  }
}
