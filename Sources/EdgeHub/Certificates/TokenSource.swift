import Glibc
import Logging
import Synchronization

/// Where join tokens come from: the bootstrap file, then the configuration. Both are read again each time, so that a new token counts
/// without a restart.
final class TokenSource: Sendable {
  private struct State {
    /// From the configuration as it was at the start, with its environment and command line.
    var configured: String
    /// The token in the configuration files at the start.
    var inFiles: String
  }

  private let bootstrapFile: String
  private let configurationFiles: [String]
  private let logger: Logger
  private let state: Mutex<State>

  init(token: String, bootstrapFile: String, configurationFiles: [String], logger: Logger) {
    self.bootstrapFile = bootstrapFile
    self.configurationFiles = configurationFiles
    self.logger = logger
    state = Mutex(State(configured: token, inFiles: Self.token(in: configurationFiles)))
  }

  /// The token that counts now; nil without one.
  var current: String? {
    if !bootstrapFile.isEmpty, let bytes = (try? DurableFile.read(bootstrapFile)) ?? nil {
      let token = Self.trimmed(String(decoding: bytes, as: UTF8.self))
      if !token.isEmpty { return token }
    }
    let inFiles = Self.token(in: configurationFiles)
    let token = state.withLock { state in inFiles.isEmpty || inFiles == state.inFiles ? state.configured : inFiles }
    return token.isEmpty ? nil : token
  }

  /// The token has done its work: it is taken away everywhere.
  func spend() {
    state.withLock { state in state = State(configured: "", inFiles: "") }
    for file in configurationFiles {
      do throws(CertificateError) {
        if try ConfigurationToken.blank(in: file) { logger.info("token taken out of the configuration", metadata: ["file": "\(file)"]) }
      } catch {
        logger.warning("the token is still in the configuration", metadata: ["file": "\(file)", "error": "\(error)"])
      }
    }
    guard !bootstrapFile.isEmpty, access(bootstrapFile, F_OK) == 0, unlink(bootstrapFile) != 0 else { return }
    // Where files can't be removed, they can often be emptied.
    guard truncate(bootstrapFile, 0) != 0 else { return }
    logger.warning(
      "the file with the token can't be removed", metadata: ["file": "\(bootstrapFile)", "error": "\(String(cString: strerror(errno)))"])
  }

  private static func token(in files: [String]) -> String {
    trimmed(files.compactMap { ConfigurationToken.token(in: $0) }.last ?? "")
  }

  private static func trimmed(_ text: String) -> String {
    let isSpace: (Character) -> Bool = { $0.isWhitespace || $0 == "\0" }
    guard let first = text.firstIndex(where: { !isSpace($0) }), let last = text.lastIndex(where: { !isSpace($0) }) else { return "" }
    return String(text[first...last])
  }
}
