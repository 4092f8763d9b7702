import Testing

@testable import Edged

@Suite struct ImageReferenceTests {
  private static let digest = "sha256:" + String(repeating: "0123456789abcdef", count: 4)

  @Test(
    arguments: [
      ("busybox", "docker.io/library/busybox", nil, nil, "busybox:latest"),
      ("busybox:1.36", "docker.io/library/busybox", "1.36", nil, "busybox:1.36"),
      ("kubeedge/pause:3.6", "docker.io/kubeedge/pause", "3.6", nil, "kubeedge/pause:3.6"),
      ("index.docker.io/busybox", "docker.io/library/busybox", nil, nil, "index.docker.io/busybox:latest"),
      ("localhost/app", "localhost/app", nil, nil, "localhost/app:latest"),
      ("registry:5000/app", "registry:5000/app", nil, nil, "registry:5000/app:latest"),
      ("Registry/app", "Registry/app", nil, nil, "Registry/app:latest"),
      ("example.com/a/b/c:v1", "example.com/a/b/c", "v1", nil, "example.com/a/b/c:v1"),
      ("[fd00::1]:5000/app:v1", "[fd00::1]:5000/app", "v1", nil, "[fd00::1]:5000/app:v1"),
      ("x/a__b.c-d---e", "docker.io/x/a__b.c-d---e", nil, nil, "x/a__b.c-d---e:latest"),
      ("busybox@\(digest)", "docker.io/library/busybox", nil, digest, "busybox@\(digest)"),
      ("busybox:1@\(digest)", "docker.io/library/busybox", "1", digest, "busybox:1@\(digest)"),
    ] as [(String, String, String?, String?, String)])
  func parses(text: String, name: String, tag: String?, digest: String?, spelled: String) throws {
    let image = try ImageReference(text)
    #expect(image.name == name)
    #expect(image.tag == tag)
    #expect(image.digest == digest)
    #expect(image.spelled == spelled)
  }

  @Test(arguments: [
    ("", "invalid reference format"),
    (":tag", "invalid reference format"),
    ("a/", "invalid reference format"),
    ("/a", "invalid reference format"),
    ("a//b", "invalid reference format"),
    ("a b", "invalid reference format"),
    ("a:", "invalid reference format"),
    ("a:-x", "invalid reference format"),
    ("a___b", "invalid reference format"),
    ("a..b/c", "invalid reference format"),
    ("a-", "invalid reference format"),
    ("example.com:port/a", "invalid reference format"),
    ("a@sha256:abc", "invalid reference format"),
    ("a@\(digest)0", "invalid reference format"),
    ("a:" + String(repeating: "x", count: 129), "invalid reference format"),
    ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
    (String(digest.dropFirst(7)), "invalid repository name (\(digest.dropFirst(7))), cannot specify 64-byte hexadecimal strings"),
    ("a/" + String(repeating: "x", count: 250), "repository name must not be more than 255 characters"),
  ])
  func refuses(text: String, problem: String) {
    #expect(throws: InvalidImageName(text: text, problem: problem)) { try ImageReference(text) }
  }

  @Test(arguments: [("a", true), ("a:latest", true), ("a:1", false), ("a@\(digest)", false)])
  func knowsWhatIsPulledAlways(text: String, isAlways: Bool) throws {
    #expect(try ImageReference(text).defaultPullPolicyIsAlways == isAlways)
  }
}
