import Curl

/// How a call ended, read from the fields that carry it.
enum GRPCStatus {
  /// Throws unless the call succeeded.
  ///
  /// The status stands in the trailers, or in the head of a reply that has nothing but a head.
  static func check(httpStatus: Int, headers: [HTTPField], trailers: [HTTPField]) throws {
    guard let text = trailers.first(named: "grpc-status") ?? headers.first(named: "grpc-status") else {
      if httpStatus == 200 { throw GRPCError(.unavailable, "the connection ended before the reply was complete") }
      throw GRPCError(code(forHTTP: httpStatus), "HTTP status \(httpStatus) from something that does not speak gRPC")
    }
    if text == "0" { return }
    let message = trailers.first(named: "grpc-message") ?? headers.first(named: "grpc-message") ?? ""
    throw GRPCError(Int(text).flatMap(GRPCError.Code.init(rawValue:)) ?? .unknown, percentDecoded(message))
  }

  /// For peers, proxies mostly, that answer without a gRPC status.
  static func code(forHTTP status: Int) -> GRPCError.Code {
    switch status {
    case 400: .internalError
    case 401: .unauthenticated
    case 403: .permissionDenied
    case 404: .unimplemented
    case 429, 502, 503, 504: .unavailable
    default: .unknown
    }
  }

  /// Status messages escape everything but printable ASCII, byte by byte; what is no valid escape stays as it is.
  static func percentDecoded(_ text: String) -> String {
    guard text.utf8.contains(UInt8(ascii: "%")) else { return text }
    let input = Array(text.utf8)
    var output: [UInt8] = []
    output.reserveCapacity(input.count)
    var index = 0
    while index < input.count {
      if input[index] == UInt8(ascii: "%"), index + 2 < input.count, let high = hexDigit(input[index + 1]),
        let low = hexDigit(input[index + 2])
      {
        output.append(high << 4 | low)
        index += 3
      } else {
        output.append(input[index])
        index += 1
      }
    }
    return String(decoding: output, as: UTF8.self)
  }

  /// A status message as it stands in a header: printable ASCII, everything else and `%` escaped.
  static func percentEncoded(_ text: String) -> String {
    var output = ""
    for byte in text.utf8 {
      if (0x20...0x7E).contains(byte), byte != UInt8(ascii: "%") {
        output.unicodeScalars.append(Unicode.Scalar(byte))
      } else {
        output += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return output
  }

  private static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }

  /// The value of the `grpc-timeout` field: at most eight digits and a unit.
  static func timeout(_ duration: Duration) -> String {
    let (seconds, attoseconds) = duration.components
    if seconds >= 99_999 { return "\(min(seconds, 99_999_999))S" }
    let milliseconds = seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
    return "\(max(milliseconds, 1))m"
  }
}
