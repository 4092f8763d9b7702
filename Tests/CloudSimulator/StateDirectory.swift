import FoundationEssentials
import Synchronization
import YAML

/// What a simulated cloud keeps in a folder.
struct StateDirectory: Sendable {
  let path: String

  private var certificatePath: String { path + "/ca.crt" }
  private var keyPath: String { path + "/ca.key" }
  private var statePath: String { path + "/state.json" }

  init(_ path: String) throws {
    self.path = path
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
  }

  /// The authority that was kept, or a new one.
  func authority() throws -> CertificateAuthority {
    if let pem = try? String(contentsOfFile: certificatePath, encoding: .utf8),
      let key = try? String(contentsOfFile: keyPath, encoding: .utf8)
    {
      return try CertificateAuthority(pem: pem, keyPEM: key)
    }
    let authority = try CertificateAuthority()
    try Data(authority.keyPEM.utf8).write(to: URL(filePath: keyPath), options: .atomic)
    try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: keyPath)
    try Data(authority.pem.utf8).write(to: URL(filePath: certificatePath), options: .atomic)
    return authority
  }

  /// What was kept; nil if nothing was.
  func load() throws -> JSONValue? {
    guard FileManager.default.fileExists(atPath: statePath) else { return nil }
    return try JSONValue(json: Array(try Data(contentsOf: URL(filePath: statePath))))
  }

  func save(_ state: JSONValue) throws { try Data(state.jsonBytes()).write(to: URL(filePath: statePath), options: .atomic) }
}
