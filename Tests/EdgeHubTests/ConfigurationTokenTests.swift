import Logging
import Testing

@testable import EdgeHub

@Suite struct ConfigurationTokenTests {
  private static let token = "aa.bb.cc.dd"

  @Test(arguments: [
    ("modules:\n  edgeHub:\n    token: aa.bb.cc.dd\n    x: 1\n", "modules:\n  edgeHub:\n    token: \"\"\n    x: 1\n"),
    (
      "# token: aa.bb.cc.dd\nmodules: # m\r\n  edgeHub:\r\n    token:   \"aa.bb.cc.dd\"  # mine\r\n",
      "# token: aa.bb.cc.dd\nmodules: # m\r\n  edgeHub:\r\n    token:   \"\"  # mine\r\n"
    ),
    ("modules:\n  edgeHub:\n    token: 'aa.bb.cc.dd'", "modules:\n  edgeHub:\n    token: \"\""),
    ("modules: {edgeHub: {token: aa.bb.cc.dd, heartbeat: 15}}\n", "modules: {edgeHub: {token: \"\", heartbeat: 15}}\n"),
    (#"{"modules":{"edgeHub":{"token":"aa.bb.cc.dd"}}}"#, #"{"modules":{"edgeHub":{"token":""}}}"#),
    ("modules:\n  edgehub:\n    Token:\n      aa.bb.cc.dd\n", "modules:\n  edgehub:\n    Token:\n      \"\"\n"),
    (
      "a: 1\n---\nmodules:\n  eventBus:\n    token: keep\n  edgeHub:\n    token: aa.bb.cc.dd\n",
      "a: 1\n---\nmodules:\n  eventBus:\n    token: keep\n  edgeHub:\n    token: \"\"\n"
    ),
  ])
  func `only the token goes`(_ before: String, _ after: String) throws {
    let folder = try Folder()
    try folder.write("edgecore.yaml", before)
    #expect(ConfigurationToken.token(in: folder.file("edgecore.yaml")) == Self.token)
    #expect(try ConfigurationToken.blank(in: folder.file("edgecore.yaml")))
    #expect(try folder.text("edgecore.yaml") == after)
    #expect(folder.mode("edgecore.yaml") == 0o640)
    #expect(ConfigurationToken.token(in: folder.file("edgecore.yaml")) == nil)
  }

  @Test(arguments: ["modules:\n  edgeHub:\n    token: \"\"\n", "token: aa.bb.cc.dd\n", "", "modules: 3\n", "{"])
  func `files without a token stay as they are`(_ text: String) throws {
    let folder = try Folder()
    try folder.write("edgecore.yaml", text)
    #expect(try !ConfigurationToken.blank(in: folder.file("edgecore.yaml")))
    #expect(try folder.text("edgecore.yaml") == text)
    #expect(folder.mode("edgecore.yaml") == 0o644)
  }

  @Test func `what can't be taken out alone is left, and said`() throws {
    let text = "x: &t aa.bb.cc.dd\nmodules:\n  edgeHub:\n    token: *t\n    y: aa.bb.cc.dd\n"
    #expect(throws: CertificateError.self) { try ConfigurationToken.blanked(Array(text.utf8), path: "edgecore.yaml") }
  }

  @Test func `the bootstrap file stands above the configuration, new tokens above spent ones`() throws {
    let folder = try Folder()
    let configuration = folder.file("edgecore.yaml")
    try folder.write("edgecore.yaml", "modules:\n  edgeHub:\n    token: old\n")
    try folder.write("bootstrap", " boot \n\n")
    let source = TokenSource(
      token: "fromEnvironment", bootstrapFile: folder.file("bootstrap"), configurationFiles: [configuration], logger: Logger(label: "test"))
    #expect(source.current == "boot")
    try folder.write("bootstrap", "\n")
    #expect(source.current == "fromEnvironment")
    try folder.write("edgecore.yaml", "modules:\n  edgeHub:\n    token: new\n")
    #expect(source.current == "new")
    source.spend()
    #expect(source.current == nil)
    #expect(folder.names == ["edgecore.yaml"])
    #expect(try folder.text("edgecore.yaml") == "modules:\n  edgeHub:\n    token: \"\"\n")
    try folder.write("edgecore.yaml", "modules:\n  edgeHub:\n    token: later\n")
    #expect(source.current == "later")
  }
}
