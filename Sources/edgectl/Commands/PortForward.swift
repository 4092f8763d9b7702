import ArgumentParser
import Glibc

struct PortForward: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "port-forward", abstract: "Forwards a port of this host to a port of a pod.",
    usage: "edgectl port-forward [-n <namespace>] <pod> <local>:<remote>",
    discussion: "It listens on 127.0.0.1 until it is interrupted. 0 as local port takes a free one.")

  @OptionGroup var options: GlobalOptions
  @OptionGroup var name: PodName

  @Argument(help: "The local port and the pod's port, 8080:80; one number for both.")
  var ports: String

  func run() throws {
    let parts = ports.split(separator: ":", omittingEmptySubsequences: false).map { UInt16($0) }
    guard let local = parts.first ?? nil, let remote = parts.last ?? nil, parts.count <= 2, remote > 0 else {
      throw CommandFailure("\"\(ports)\" is not allowed; allowed: <local>:<remote>, such as 8080:80")
    }
    let forward = LocalForward(
      socketPath: options.socket, target: "/v1/pods/\(name.path)/forward?port=\(remote)",
      failed: { try? Terminal.write(Array("edgectl: \($0)\n".utf8), to: STDERR_FILENO) })
    try forward.run(port: local) { print("forwarding 127.0.0.1:\($0) to port \(remote) of \(name.path)") }
  }
}
