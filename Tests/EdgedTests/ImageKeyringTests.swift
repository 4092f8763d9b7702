import Testing

@testable import Edged

@Suite struct ImageKeyringTests {
  @Test(arguments: [
    // Key, image, whether it fits.
    ("example.com", "example.com/app", true),
    ("https://example.com", "example.com/app", true),
    ("http://example.com/v1/", "example.com/app", true),
    ("https://example.com/v2/team", "example.com/team/app", true),
    ("example.com/team", "example.com/team/app", true),
    ("example.com/team", "example.com/other/app", false),
    ("example.com", "example.com:5000/app", false),
    ("example.com:5000", "example.com:5000/app", true),
    ("example.com:5000", "example.com/app", false),
    ("*.example.com", "eu.example.com/app", true),
    ("*.example.com", "example.com/app", false),
    ("*.example.com", "a.b.example.com/app", false),
    ("*.*.example.com", "a.b.example.com/app", true),
    ("eu-*.example.com", "eu-west.example.com/app", true),
    ("eu-*.example.com", "us-west.example.com/app", false),
    ("r?.example.com", "r1.example.com/app", true),
    ("r[1-3].example.com", "r2.example.com/app", true),
    ("r[1-3].example.com", "r4.example.com/app", false),
    ("r[^1-3].example.com", "r4.example.com/app", true),
    ("r[1-3.example.com", "r2.example.com/app", false),
    ("*.example.com:5000/team", "eu.example.com:5000/team/app", true),
    ("index.docker.io", "busybox", true),
    ("https://index.docker.io/v1/", "kubeedge/pause", true),
    ("docker.io", "busybox", true),
    ("index.docker.io", "example.com/app", false),
    ("index.docker.io", "localhost/app", false),
  ])
  func matches(key: String, image: String, fits: Bool) throws {
    let login = RegistryLogin(username: "u", password: "p")
    let keyring = RegistryKeyring([RegistryCredentials([key: login])])
    #expect(try keyring.logins(for: ImageReference(image)) == (fits ? [login] : []))
  }

  @Test func triesTheMostSpecificFirst() throws {
    func login(_ name: String) -> RegistryLogin { RegistryLogin(username: name, password: "") }
    let keyring = RegistryKeyring([
      RegistryCredentials(["example.com": login("host"), "example.com/team": login("team"), "*.com": login("glob")]),
      RegistryCredentials(["example.com/team/app": login("app"), "example.com": login("host2")]),
    ])
    let found = try keyring.logins(for: ImageReference("example.com/team/app"))
    #expect(found.map(\.username) == ["app", "team", "host", "host2", "glob"])
  }

  @Test func prefersMatchesToDockerHubsEntry() throws {
    let keyring = RegistryKeyring([
      RegistryCredentials([
        "index.docker.io": RegistryLogin(username: "hub", password: ""),
        "docker.io/team": RegistryLogin(username: "team", password: ""),
      ])
    ])
    #expect(try keyring.logins(for: ImageReference("team/app")).map(\.username) == ["team"])
    #expect(try keyring.logins(for: ImageReference("busybox")).map(\.username) == ["hub"])
  }

  @Test(arguments: ["dXNlcjpwYTpzcw==", "dXNlcjpwYTpzcw", " dXNlcjpwYTpzcw==\\n"])
  func decodesAuth(auth: String) throws {
    let json = #"{"auths": {"example.com": {"username": "x", "password": "y", "auth": "\#(auth)", "email": "e"}}, "credsStore": "s"}"#
    let credentials = try RegistryCredentials(dockerConfigJSON: Array(json.utf8))
    #expect(credentials.entries.map(\.login) == [RegistryLogin(username: "user", password: "pa:ss")])
  }

  @Test func readsBothKindsOfSecrets() throws {
    let login = #"{"https://example.com/v1/": {"username": "u", "password": "p"}}"#
    let old = try RegistryCredentials(secretType: "kubernetes.io/dockercfg", data: [".dockercfg": Array(login.utf8)])
    let new = try RegistryCredentials(
      secretType: "kubernetes.io/dockerconfigjson", data: [".dockerconfigjson": Array(#"{"auths": \#(login)}"#.utf8)])
    #expect(old?.entries == [.init(registry: "example.com", login: RegistryLogin(username: "u", password: "p"))])
    #expect(new == old)
    #expect(try RegistryCredentials(secretType: "Opaque", data: [".dockercfg": Array(login.utf8)]) == nil)
    #expect(try RegistryCredentials(secretType: "kubernetes.io/dockercfg", data: [:]) == nil)
  }

  @Test(arguments: [#"{"auths": {"r": {"auth": "secret-without-colon"}}}"#, #"{"auths": {"r": "secret"}}"#, "secret"])
  func errorsKeepSecrets(json: String) throws {
    let error = try #require(throws: RegistryCredentialsError.self) { try RegistryCredentials(dockerConfigJSON: Array(json.utf8)) }
    #expect(!"\(error)".contains("secret"))
  }

  @Test func printingMasksLogins() {
    let login = RegistryLogin(username: "hidden-user", password: "hidden-password")
    var dumped = ""
    dump(RegistryCredentials(["example.com": login]), to: &dumped)
    for text in ["\(login)", String(reflecting: login), "\(RegistryCredentials(["example.com": login]))", dumped] {
      #expect(!text.contains("hidden"))
    }
  }

  @Test func readsTheNodesFilesInTheirOrder() throws {
    let scratch = try LogScratch()
    try scratch.write("home/.dockercfg", #"{"example.com": {"username": "old", "password": ""}}"#)
    let node = NodeRegistryCredentials(
      configFolders: [scratch.path + "/root", scratch.path + "/home/.docker"], dockercfgFolders: [scratch.path + "/home"])
    #expect(node.read()?.entries.map(\.login.username) == ["old"])
    try scratch.write("home/.docker/config.json", #"{"auths": {"example.com": {"username": "home", "password": ""}}}"#)
    #expect(node.read()?.entries.map(\.login.username) == ["home"])
    try scratch.write("root/config.json", #"{"auths": {"example.com": {"username": "root", "password": ""}}}"#)
    #expect(node.read()?.entries.map(\.login.username) == ["root"])
    try scratch.write("root/config.json", "no JSON")
    #expect(node.read()?.entries.map(\.login.username) == ["home"])
  }

  @Test func looksWhereKubeletLooks() {
    let node = NodeRegistryCredentials(root: "/var/lib/kubelet", home: "/root")
    #expect(node.configFolders == ["/var/lib/kubelet", ".", "/root/.docker", "/.docker"])
    #expect(node.dockercfgFolders == ["/var/lib/kubelet", ".", "/root", "/"])
    #expect(NodeRegistryCredentials(root: "/r", home: nil).configFolders == ["/r", ".", "/.docker"])
  }
}
