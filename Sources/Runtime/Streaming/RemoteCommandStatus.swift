import FoundationEssentials

/// How a remote command ended, as the engine writes it on the error stream: a Kubernetes `Status` object.
struct RemoteCommandStatus: Decodable {
  struct Details: Decodable {
    var causes: [Cause]?
  }
  struct Cause: Decodable {
    var reason: String?
    var message: String?
  }

  var status: String?
  var reason: String?
  var message: String?
  var details: Details?

  /// The exit code; throws when the command couldn't be run at all.
  static func exitCode(_ json: [UInt8], operation: String) throws(RuntimeError) -> Int32 {
    guard let status = try? JSONDecoder().decode(RemoteCommandStatus.self, from: Data(json)) else {
      throw RuntimeError(.unknown, operation: operation, message: String(decoding: json.prefix(1024), as: UTF8.self))
    }
    if status.status == "Success" { return 0 }
    if status.reason == "NonZeroExitCode",
      let code = status.details?.causes?.first(where: { $0.reason == "ExitCode" })?.message.flatMap({ Int32($0) })
    {
      return code
    }
    throw RuntimeError(.unknown, operation: operation, message: status.message ?? "the command failed without a message")
  }
}
