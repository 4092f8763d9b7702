import Foundation
import Testing

@testable import Runtime

struct DockerImageTests {
  private static let id = String(repeating: "ab", count: 32)

  @Test(arguments: [
    ("busybox", "docker.io/library/busybox:latest"), ("busybox:1.36", "docker.io/library/busybox:1.36"),
    ("kubeedge/pause:3.6", "docker.io/kubeedge/pause:3.6"), ("docker.io/busybox", "docker.io/library/busybox:latest"),
    ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"), ("localhost/a", "localhost/a:latest"),
    ("registry:5000/a/b", "registry:5000/a/b:latest"), ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
    ("busybox@sha256:12", "docker.io/library/busybox@sha256:12"), ("quay.io/a/b:1@sha256:12", "quay.io/a/b:1@sha256:12"),
  ])
  func completesNames(text: String, expected: String) {
    #expect(DockerImageReference(text)?.text == expected)
  }

  @Test(arguments: ["", "<none>:<none>", "<none>@<none>", "a:<none>", "sha256:\(id)", id, "a@", "a:", ":1"])
  func rejectsWhatIsNoName(text: String) {
    #expect(DockerImageReference(text) == nil)
  }

  @Test(arguments: [
    ("busybox:1.36", true), ("docker.io/library/busybox:1.36", true), ("busybox", false), ("abab", false), (id, true),
    ("sha256:\(id)", true), ("busybox@sha256:12", true), ("busybox:other@sha256:12", true), ("busybox@sha256:13", false),
    ("other@sha256:\(id)", true),
  ])
  func knowsWhetherAnImageIsTheOneAskedFor(text: String, matches: Bool) throws {
    let json = #"{"Id":"sha256:\#(Self.id)","RepoTags":["busybox:1.36"],"RepoDigests":["busybox@sha256:12"],"Size":5}"#
    let image = try JSONDecoder().decode(DockerImage.self, from: Data(json.utf8))
    #expect(DockerImages.matches(image, text) == matches)
  }

  @Test(arguments: [("", 0, ""), ("1000", 1000, ""), ("1000:50", 1000, ""), ("nginx:www", nil, "nginx")])
  func tellsTheUser(text: String, uid: Int64?, name: String) throws {
    let json = #"{"Id":"x","RepoTags":null,"RepoDigests":null,"Size":5,"Config":{"User":"\#(text)"}}"#
    let image = DockerImages.image(try JSONDecoder().decode(DockerImage.self, from: Data(json.utf8)), pinned: false)
    #expect(image.hasUid == (uid != nil))
    #expect(image.uid.value == uid ?? 0)
    #expect(image.username == name)
  }

  @Test func leavesOutNamesOfNothing() throws {
    let json = #"{"Id":"x","RepoTags":["<none>:<none>","a:1"],"RepoDigests":["<none>@<none>","a@sha256:1"],"Size":5}"#
    let image = DockerImages.image(try JSONDecoder().decode(DockerImageSummary.self, from: Data(json.utf8)), pinned: true)
    #expect(image.repoTags == ["docker.io/library/a:1"])
    #expect(image.repoDigests == ["docker.io/library/a@sha256:1"])
    #expect(image.pinned)
  }

  @Test(arguments: ["dXNlcjpwYTpzcw==", "dXNlcjpwYTpzcw"])
  func sendsCredentials(auth: String) throws {
    let header = try DockerImages.registryAuth(
      .with {
        $0.auth = auth
        $0.serverAddress = "https://r/?\u{FF}>"
      })
    #expect(header.utf8.count % 4 == 0)
    #expect(!header.contains("+") && !header.contains("/"))
    let plain = header.replacingOccurrences(of: "-", with: "+").replacingOccurrences(of: "_", with: "/")
    let fields = try JSONDecoder().decode([String: String].self, from: try #require(Data(base64Encoded: plain)))
    #expect(fields == ["username": "user", "password": "pa:ss", "serveraddress": "https://r/?\u{FF}>"])
  }
}
