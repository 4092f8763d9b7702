import KubernetesAPI
import Testing
import YAML

@testable import Edged

@Suite struct StaticPodReaderTests {
  private func read(_ text: String, node: String = "Edge-1", file: String = "/m/web.yaml") -> [StaticPod] {
    let outcome = ManifestReader(nodeName: node).read(Array(text.utf8), file: file)
    #expect(outcome.problems == [])
    return outcome.pods
  }

  private let small = """
    apiVersion: v1
    kind: Pod
    metadata: {name: web}
    spec:
      containers: [{name: main, image: nginx}]
    """

  @Test func fillsInWhatTheAPIWould() throws {
    let pod = try #require(
      read(
        """
        apiVersion: v1
        kind: Pod
        metadata: {name: web}
        spec:
          hostNetwork: true
          volumes:
          - {name: none}
          - {name: host, hostPath: {path: /a}}
          - {name: info, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: metadata.name}}]}}
          initContainers: [{name: init, image: "x:1"}]
          containers:
          - name: main
            image: nginx
            ports: [{containerPort: 80}]
            resources: {limits: {cpu: 1, memory: 1Gi}, requests: {cpu: 500m}}
            livenessProbe: {httpGet: {port: 80}, periodSeconds: 0}
            readinessProbe: {grpc: {port: 1}, failureThreshold: 7}
            lifecycle: {preStop: {httpGet: {port: 80}}}
        """
      ).first?.pod)
    let spec = pod.spec
    #expect(pod.namespace == "default")
    #expect(spec.restartPolicy == .always && spec.terminationGracePeriodSeconds == 30 && spec.dnsPolicy == .clusterFirst)
    #expect(spec.securityContext != nil && spec.enableServiceLinks == true)
    #expect(spec.volumes?[0].emptyDir == EmptyDirVolumeSource())
    #expect(spec.volumes?[1].hostPath?.type == "")
    #expect(spec.volumes?[2].downwardAPI?.defaultMode == 0o644)
    #expect(spec.volumes?[2].downwardAPI?.items?[0].fieldRef?.apiVersion == "v1")
    #expect(spec.initContainers?[0].imagePullPolicy == .ifNotPresent)
    let container = spec.containers[0]
    #expect(container.imagePullPolicy == .always)
    #expect(container.terminationMessagePath == "/dev/termination-log" && container.terminationMessagePolicy == .file)
    #expect(container.ports?[0].protocol == "TCP" && container.ports?[0].hostPort == 80)
    #expect(container.resources?.requests == ["cpu": Quantity("500m"), "memory": Quantity("1Gi")].compactMapValues { $0 })
    let probe = try #require(container.livenessProbe)
    #expect(probe.timeoutSeconds == 1 && probe.periodSeconds == 10 && probe.successThreshold == 1 && probe.failureThreshold == 3)
    #expect(probe.httpGet?.path == "/" && probe.httpGet?.scheme == "HTTP")
    #expect(container.readinessProbe?.failureThreshold == 7 && container.readinessProbe?.grpc?.service == "")
    #expect(container.lifecycle?.preStop?.httpGet?.scheme == "HTTP")
  }

  @Test(arguments: [
    ("nginx", PullPolicy.always), ("nginx:latest", .always), ("nginx:1", .ifNotPresent), ("host:5000/nginx", .always),
    ("host:5000/nginx:1", .ifNotPresent), ("nginx@sha256:00", .ifNotPresent), ("nginx:latest@sha256:00", .ifNotPresent),
  ])
  func pullPolicyFollowsTheTag(image: String, policy: PullPolicy) {
    #expect(PodDefaults.pullPolicy(of: image) == policy)
  }

  @Test func marksThePodAsTheNodesOwn() throws {
    let found = try #require(read(small).first)
    let pod = found.pod
    #expect(pod.name == "web-edge-1" && pod.spec.nodeName == "Edge-1")
    #expect(pod.uid.wholeMatch(of: /[0-9a-f]{32}/) != nil)
    let annotations = try #require(pod.metadata.annotations)
    #expect(annotations["kubernetes.io/config.hash"] == pod.uid && annotations["kubernetes.io/config.source"] == "file")
    #expect(Timestamp(annotations["kubernetes.io/config.seen"] ?? "") != nil)
    #expect(pod.spec.tolerations == [Toleration(operator: "Exists", effect: "NoExecute")])
    #expect(found.raw["metadata"]?["name"]?.string == "web" && found.line == 1)
  }

  @Test func anotherPodIsAnotherUID() throws {
    let uid = try #require(read(small).first?.pod.uid)
    let reordered = """
      # The same.
      spec: {containers: [{image: nginx, name: main}]}
      metadata: {name: web}
      kind: Pod
      apiVersion: v1
      """
    #expect(read(reordered).first?.pod.uid == uid)
    #expect(read(small.replacing("nginx", with: "nginx:1")).first?.pod.uid != uid)
    #expect(read(small, node: "edge-2").first?.pod.uid != uid)
    #expect(read(small, file: "/m/other.yaml").first?.pod.uid != uid)
    let given = read(small.replacing("name: web", with: "name: web, uid: abc")).first?.pod
    #expect(given?.uid == "abc" && given?.metadata.annotations?["kubernetes.io/config.hash"] == "abc")
  }

  @Test func hashesLikeFNV() {
    func hash(_ text: String) -> String {
      var hash = FNV1a128()
      hash.combine(text.utf8)
      return hash.hexText
    }
    #expect(hash("") == "6c62272e07bb014262b821756295c58d")
    #expect(hash("a") == "d228cb696f1a8caf78912b704e4a8964")
  }

  @Test func readsSeveralDocumentsAndJSON() {
    #expect(read(small + "\n---\n" + small.replacing("name: web", with: "name: two")).map(\.pod.name) == ["web-edge-1", "two-edge-1"])
    let json = #"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"j"},"spec":{"containers":[{"name":"a","image":"b"}]}}"#
    #expect(read(json).map(\.pod.name) == ["j-edge-1"])
  }

  @Test func oneBadDocumentLeavesTheOthers() {
    let outcome = ManifestReader(nodeName: "n").read(
      Array((small + "\n---\n" + small.replacing("nginx", with: "\"\"") + "\n").utf8), file: "/m/web.yaml")
    #expect(outcome.pods.map(\.pod.name) == ["web-n"])
    #expect(outcome.problems.map(\.description) == ["web.yaml:11: spec.containers[0].image: is missing"])
    #expect(outcome.problems.first?.podName == "web")
  }

  @Test func theWholeNameMustFit() {
    let name = String(repeating: "a", count: 250)
    let outcome = ManifestReader(nodeName: "node").read(Array(small.replacing("name: web", with: "name: \(name)").utf8), file: "/m/x")
    #expect(outcome.problems.first?.description.contains("has 255 characters; at most 253 are allowed") == true)
  }
}
