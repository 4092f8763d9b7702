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

  func stop() {
    process.terminate()
    process.waitUntilExit()
    try? FileManager.default.removeItem(atPath: directory)
  }
}
