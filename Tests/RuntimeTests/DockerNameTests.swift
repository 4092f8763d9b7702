import Testing

@testable import Runtime

struct DockerNameTests {
  private let sandbox = CRIPodSandboxMetadata.with {
    $0.name = "web"
    $0.namespace = "default"
    $0.uid = "0f0e-1"
    $0.attempt = 2
  }

  @Test func namesSandboxesAndContainers() {
    let container = CRIContainerMetadata.with {
      $0.name = "app"
      $0.attempt = 7
    }
    #expect(DockerName(sandbox: sandbox).text == "k8s_POD_web_default_0f0e-1_2")
    #expect(DockerName(container: container, sandbox: sandbox).text == "k8s_app_web_default_0f0e-1_7")
  }

  @Test func splitsIntoTheSameParts() throws {
    let name = DockerName(sandbox: sandbox)
    for text in [name.text, "/" + name.text, name.unique] {
      let parsed = try #require(DockerName(parsing: text))
      #expect(parsed == name)
      #expect(parsed.isSandbox)
      #expect(parsed.sandboxMetadata == sandbox)
    }
    #expect(name.unique != name.unique)
    #expect(name.unique.utf8.count == name.text.utf8.count + 9)
  }

  @Test(arguments: ["", "web", "/k8s_POD_web_default_uid", "k9s_POD_web_default_uid_0", "k8s_a_b_c_d_x", "k8s_a_b_c_d_1_2_3"])
  func rejectsOthers(text: String) {
    #expect(DockerName(parsing: text) == nil)
  }

  @Test func keepsLabelsAndAnnotationsApart() {
    let labels = ["app": "web", "annotation": "x"]
    let annotations = ["app": "1", "io.kubernetes.container.hash": "8e45cbd0", "empty": ""]
    var all = DockerLabel.encode(labels: labels, annotations: annotations, kind: .container)
    #expect(all["annotation.app"] == "1")
    #expect(all["io.kubernetes.docker.type"] == "container")
    all["io.kubernetes.sandbox.id"] = "1"
    all["io.kubernetes.container.logpath"] = "/var/log/pods/x/0.log"
    let decoded = DockerLabel.decode(all)
    #expect(decoded.labels == labels)
    #expect(decoded.annotations == annotations)
  }
}
