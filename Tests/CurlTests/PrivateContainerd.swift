import Foundation

/// A containerd of its own, without CRI, in a temporary directory.
final class PrivateContainerd: Sendable {
  static let executable = "/usr/bin/containerd"
  static var isInstalled: Bool { FileManager.default.isExecutableFile(atPath: executable) && geteuid() == 0 }

  let socket: String
  private let directory: String
  private let process: Process

  /// Returns when it listens.
  init() async throws {
    directory = "/tmp/curltest-containerd-\(UUID().uuidString.prefix(8))"
    socket = "\(directory)/c.sock"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let configuration = """
      version = 2
      root = "\(directory)/root"
      state = "\(directory)/state"
      disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper"]
      [grpc]
      address = "\(socket)"
      [ttrpc]
      address = "\(directory)/t.sock"
      """
    try configuration.write(toFile: "\(directory)/config.toml", atomically: true, encoding: .utf8)
    let process = Process()
    process.executableURL = URL(fileURLWithPath: Self.executable)
    process.arguments = ["--config", "\(directory)/config.toml", "--log-level", "warn"]
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    self.process = process
    while !FileManager.default.fileExists(atPath: socket) {
      guard process.isRunning else { throw CocoaError(.fileNoSuchFile) }
      try await Task.sleep(for: .milliseconds(20))
    }
  }

  /// The listener and its connections.
  func sockets() throws -> Int {
    // The size of such a file is 0: it has to be read until its end.
    let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/net/unix"))
    defer { try? file.close() }
    var table: [UInt8] = []
    while let more = try file.read(upToCount: 65_536), !more.isEmpty { table += more }
    return String(decoding: table, as: UTF8.self).split(separator: "\n").filter { $0.hasSuffix(socket) }.count
  }

  func stop() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: directory)
  }
}
