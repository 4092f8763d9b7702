import KubernetesAPI
import Runtime
import Testing
import YAML

@testable import Edged

private let paths = NodePaths(root: "/var/lib/kubelet", podLogs: "/var/log/pods", containerLogs: "/var/log/containers")
private let rules = ResourceRules(cgroupV2: false, swapAccounting: false, hugepageSizes: [], memoryCapacity: 8 << 30)
private let security = SecurityContextBuilder(seccompRoot: paths.seccomp)

struct ContainerHashTests {
  /// The first value is kubelet's own check value; the others come from an independent program after the same definition.
  @Test(arguments: [
    ("test_container", "foo/image:v1", "8e45cbd0"), ("a&b", "<registry>/x:1", "ebbba156"), ("web", "", "b5fd3c22"),
    ("q\"\\", "é/\u{2028}", "d582be2"),
    ("c39", "i", "bf0343c"),
  ])
  func equalsKubelets(name: String, image: String, hash: String) {
    #expect(ContainerHash.hash(of: Container(name: name, image: image)) == hash)
  }

  @Test func dependsOnNameAndImageAlone() {
    var container = Container(name: "test_container", image: "foo/image:v1", command: ["x"])
    container.env = [EnvVar(name: "A", value: "b")]
    #expect(ContainerHash.hash(of: container) == "8e45cbd0")
    #expect(ContainerHash.hash(of: Container(name: "test_container", image: "foo/image:v2")) != "8e45cbd0")
    #expect(ContainerHash.hash(of: Container(name: "other", image: "foo/image:v1")) != "8e45cbd0")
  }
}

struct SandboxConfigTests {
  @Test func describesThePod() throws {
    var pod = try Pod.yaml(
      """
      overhead: {cpu: 100m, memory: 16Mi}
      securityContext: {runAsUser: 5, sysctls: [{name: net/ipv4/tcp_syncookies, value: "1"}, {name: kernel.shm_rmid_forced, value: "0"}]}
      initContainers:
      - {name: setup, image: i, ports: [{containerPort: 99}]}
      containers:
      - name: a
        image: i
        ports: [{containerPort: 80, hostPort: 8080, hostIP: 127.0.0.1}, {containerPort: 53, protocol: UDP}]
        resources: {requests: {cpu: 500m}, limits: {cpu: "1", memory: 64Mi}}
      - {name: b, image: i, ports: [{containerPort: 9, protocol: SCTP}], resources: {limits: {cpu: 500m, memory: 64Mi}}}
      """, labels: ["app": "x", "io.kubernetes.pod.name": "liar"], annotations: ["note": "n"])
    pod.metadata.name = "web-0"
    var dns = CRIDNSConfig()
    dns.servers = ["10.96.0.10"]
    let config = SandboxConfigBuilder(paths: paths, resources: rules, security: security)
      .build(pod, attempt: 3, hostname: "web-0", dns: dns, cgroupParent: "/kubepods/burstable/podu-1")

    #expect(config.metadata.name == "web-0" && config.metadata.namespace == "shop")
    #expect(config.metadata.uid == "u-1" && config.metadata.attempt == 3)
    #expect(config.hostname == "web-0")
    #expect(config.logDirectory == "/var/log/pods/shop_web-0_u-1")
    #expect(config.dnsConfig == dns)
    #expect(
      config.labels == [
        "app": "x", "io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": "u-1",
      ])
    #expect(config.annotations == ["note": "n"])
    #expect(
      config.portMappings.map { "\($0.protocol) \($0.containerPort) \($0.hostPort) \($0.hostIp)" } == [
        "tcp 80 8080 127.0.0.1", "udp 53 0 ", "sctp 9 0 ",
      ])
    #expect(config.linux.cgroupParent == "/kubepods/burstable/podu-1")
    #expect(config.linux.sysctls == ["net.ipv4.tcp_syncookies": "1", "kernel.shm_rmid_forced": "0"])
    #expect(config.linux.resources.cpuShares == 1024)
    #expect(config.linux.resources.cpuQuota == 150_000)
    #expect(config.linux.resources.memoryLimitInBytes == 128 << 20)
    #expect(config.linux.overhead.cpuShares == 102)
    #expect(config.linux.overhead.memoryLimitInBytes == 16 << 20)
    #expect(config.linux.securityContext.runAsUser.value == 5)
  }

  @Test func hostNetworkHasNoHostname() throws {
    let pod = try Pod.yaml("{hostNetwork: true, containers: [{name: a, ports: [{containerPort: 80}]}]}")
    let config = SandboxConfigBuilder(paths: paths, resources: rules, security: security)
      .build(pod, attempt: 0, hostname: "web", dns: CRIDNSConfig(), cgroupParent: "/p")
    #expect(config.hostname == "")
    #expect(config.portMappings.map(\.hostPort) == [80])
    #expect(!config.linux.hasOverhead)
  }
}

struct ContainerConfigTests {
  private func build(_ pod: Pod, _ parts: ContainerConfigBuilder.Parts) throws -> CRIContainerConfig {
    try ContainerConfigBuilder(paths: paths, resources: rules, security: security).build(pod, pod.spec.containers[0], parts)
  }

  @Test func describesTheContainer() throws {
    var pod = try Pod.yaml(
      """
      terminationGracePeriodSeconds: 45
      containers:
      - name: main
        image: registry/app:1
        command: [run, "$(MODE)"]
        args: ["--x=$(NONE)", "$$(MODE)"]
        workingDir: /work
        stdin: true
        stdinOnce: true
        tty: true
        terminationMessagePath: /out
        terminationMessagePolicy: FallbackToLogsOnError
        ports: [{name: http, containerPort: 80, protocol: TCP}]
        lifecycle: {preStop: {httpGet: {path: /bye, port: http}}}
      """, labels: ["app": "x"], annotations: ["note": "n"])
    pod.metadata.deletionGracePeriodSeconds = 10
    var mount = CRIMount()
    mount.containerPath = "/data"
    let config = try build(
      pod,
      .init(
        restartCount: 2, imageRef: "sha256:1234", image: nil, environment: ContainerEnvironment([("MODE", "fast"), ("B", "b")]),
        mounts: [mount]))

    #expect(config.metadata.name == "main" && config.metadata.attempt == 2)
    #expect(config.image.image == "sha256:1234" && config.image.userSpecifiedImage == "registry/app:1")
    #expect(config.command == ["run", "fast"])
    #expect(config.args == ["--x=$(NONE)", "$(MODE)"])
    #expect(config.workingDir == "/work")
    #expect(config.envs.map { "\($0.key)=\($0.value)" } == ["MODE=fast", "B=b"])
    #expect(config.mounts == [mount])
    #expect(config.logPath == "main/2.log")
    #expect(config.stdin && config.stdinOnce && config.tty)
    #expect(
      config.labels == [
        "io.kubernetes.container.name": "main", "io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u-1",
      ])
    #expect(
      config.annotations == [
        "io.kubernetes.container.hash": ContainerHash.hash(of: pod.spec.containers[0]),
        "io.kubernetes.container.restartCount": "2",
        "io.kubernetes.container.terminationMessagePath": "/out",
        "io.kubernetes.container.terminationMessagePolicy": "FallbackToLogsOnError",
        "io.kubernetes.pod.deletionGracePeriod": "10",
        "io.kubernetes.pod.terminationGracePeriod": "45",
        "io.kubernetes.container.preStopHandler": #"{"httpGet":{"path":"/bye","port":"http"}}"#,
        "io.kubernetes.container.ports": #"[{"containerPort":80,"name":"http","protocol":"TCP"}]"#,
      ])
  }

  @Test func usesDefaultsWhereNothingIsSaid() throws {
    let pod = try Pod.yaml("containers: [{name: main, image: i}]")
    let config = try build(pod, .init(restartCount: 0, imageRef: "i", image: nil, environment: ContainerEnvironment()))
    #expect(config.command.isEmpty && config.args.isEmpty && config.workingDir.isEmpty && config.envs.isEmpty)
    #expect(
      Set(config.annotations.keys) == [
        "io.kubernetes.container.hash", "io.kubernetes.container.restartCount", "io.kubernetes.container.terminationMessagePath",
        "io.kubernetes.container.terminationMessagePolicy",
      ])
    #expect(config.annotations["io.kubernetes.container.terminationMessagePath"] == "/dev/termination-log")
    #expect(config.annotations["io.kubernetes.container.terminationMessagePolicy"] == "File")
    #expect(config.linux.resources.oomScoreAdj == 1000)
  }

  @Test func joinsTheTargetOfADebugger() throws {
    let pod = try Pod.yaml("containers: [{name: main, image: i}]")
    let config = try build(
      pod, .init(restartCount: 0, imageRef: "i", image: nil, environment: ContainerEnvironment(), targetID: "abc"))
    #expect(config.linux.securityContext.namespaceOptions.pid == .target)
    #expect(config.linux.securityContext.namespaceOptions.targetID == "abc")
  }
}
