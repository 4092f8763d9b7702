import Glibc

/// A pod's resolver file. The engine makes one for the sandbox, and what joins the sandbox's network shares it.
enum DockerResolvConf {
  static func text(_ dns: CRIDNSConfig) -> String {
    var lines: [String] = []
    if !dns.searches.isEmpty { lines.append("search " + dns.searches.joined(separator: " ")) }
    lines += dns.servers.map { "nameserver \($0)" }
    if !dns.options.isEmpty { lines.append("options " + dns.options.joined(separator: " ")) }
    return lines.map { $0 + "\n" }.joined()
  }

  /// Overwrites the file in place: it is mounted already, so another file of that name wouldn't be seen.
  static func rewrite(_ path: String, _ dns: CRIDNSConfig) throws(RuntimeError) {
    let file = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC)
    guard file >= 0 else { throw failure(path) }
    defer { close(file) }
    var rest = Array(text(dns).utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw failure(path) }
      rest = rest.dropFirst(count)
    }
  }

  private static func failure(_ path: String) -> RuntimeError {
    RuntimeError(.internalError, operation: "RunPodSandbox", message: "can't write \(path): \(String(cString: strerror(errno)))")
  }
}
