/// `modules.deviceTwin`: devices and their digital twins.
public struct DeviceTwinConfiguration: Codable, Sendable, Hashable {
  public var enable = true
  /// The folder of the socket that mappers call, or the path of a file in it.
  public var dmiSockPath = "/etc/kubeedge/"
  public init() {}

  /// Path of the socket: always `dmi.sock` in that folder.
  public var dmiSocket: String {
    var folder = dmiSockPath.isEmpty ? "/etc/kubeedge/" : dmiSockPath
    if folder.hasSuffix(".sock") { folder = folder.lastIndex(of: "/").map { String(folder[...$0]) } ?? "./" }
    return folder + (folder.hasSuffix("/") ? "" : "/") + "dmi.sock"
  }
}
