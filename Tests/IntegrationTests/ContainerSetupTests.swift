import FoundationEssentials
import Glibc
import KubernetesAPI
import Testing

/// What containers find when they start: environment, volumes, network, privileges.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct ContainerSetupTests {
  @Test(arguments: Engine.Kind.allCases)
  func environmentAndDownwardFields(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "env", Manifest.sleeper,
        container: """
          resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}
          env:
          - {name: GREETING, value: hello}
          - {name: COMPOSED, value: "$(GREETING) $(POD) $$(GREETING) $(MISSING)"}
          - {name: POD, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
          - {name: AFTER, value: "$(POD)"}
          - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
          - {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          - {name: LABEL, valueFrom: {fieldRef: {fieldPath: "metadata.labels['tier']"}}}
          - {name: CPU, valueFrom: {resourceFieldRef: {resource: requests.cpu, divisor: 1m}}}
          - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
          """, metadata: "labels: {tier: front}")
      let pod = try await agent.waitUntilReady("env")
      let environment = try await agent.exec("env", "env").output
      for line in [
        "GREETING=hello", "COMPOSED=hello $(POD) $(GREETING) $(MISSING)", "POD=env-\(agent.node)", "AFTER=env-\(agent.node)",
        "IP=\(pod.status?.podIP ?? "?")", "NODE=\(agent.node)", "LABEL=front", "CPU=100", "MEMORY=67108864",
      ] {
        #expect(environment.contains(line + "\n"), "\(line) in\n\(environment)")
      }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func volumes(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      let host = agent.directory + "/host"
      try FileManager.default.createDirectory(atPath: host, withIntermediateDirectories: true)
      try "from the host".write(toFile: host + "/file", atomically: true, encoding: .utf8)
      try agent.writePod(
        "volumes", Manifest.sleeper,
        container: """
          volumeMounts:
          - {name: disk, mountPath: /disk}
          - {name: disk, mountPath: /sub, subPath: a/b}
          - {name: ram, mountPath: /ram}
          - {name: host, mountPath: /host, readOnly: true}
          - {name: made, mountPath: /made}
          - {name: down, mountPath: /down}
          - {name: all, mountPath: /all}
          """,
        spec: """
          volumes:
          - {name: disk, emptyDir: {}}
          - {name: ram, emptyDir: {medium: Memory, sizeLimit: 2Mi}}
          - {name: host, hostPath: {path: \(host), type: Directory}}
          - {name: made, hostPath: {path: \(agent.directory)/made/deep, type: DirectoryOrCreate}}
          - name: down
            downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}
          - name: all
            projected: {sources: [{downwardAPI: {items: [{path: name, mode: 256, fieldRef: {fieldPath: metadata.name}}]}}]}
          """, metadata: "labels: {tier: front, app: shop}")
      let pod = try await agent.waitUntilReady("volumes")
      #expect(try await agent.exec("volumes", "sh", "-c", "echo x > /disk/f && cat /disk/f").output == "x\n")
      #expect(try await agent.exec("volumes", "stat", "-c", "%a", "/disk").output == "777\n")
      #expect(try await agent.exec("volumes", "sh", "-c", "echo y > /sub/f && cat /disk/a/b/f").output == "y\n")
      #expect(try await agent.exec("volumes", "sh", "-c", "df -m /ram | tail -n 1 | awk '{print $2}'").output == "2\n")
      #expect(try await agent.exec("volumes", "dd", "if=/dev/zero", "of=/ram/f", "bs=1M", "count=3").code != 0)
      #expect(try await agent.exec("volumes", "cat", "/host/file").output == "from the host")
      #expect(try await agent.exec("volumes", "sh", "-c", "echo z > /host/file").code != 0)
      #expect(try await agent.exec("volumes", "sh", "-c", "echo z > /made/file").code == 0)
      #expect(try await agent.exec("volumes", "cat", "/down/labels").output == "app=\"shop\"\ntier=\"front\"")
      #expect(try await agent.exec("volumes", "cat", "/all/name").output == "volumes-\(agent.node)")
      #expect(try await agent.exec("volumes", "stat", "-L", "-c", "%a", "/all/name").output == "400\n")
      agent.remove("volumes.yaml")
      try await agent.waitUntilGone("volumes")
      #expect(try await agent.traces(ofPod: pod.uid).isEmpty)
      #expect(text(of: host + "/file") == "from the host")
      #expect(access(agent.directory + "/made/deep/file", F_OK) == 0)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func namesAndAddresses(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "net", "httpd -f -p 8080 -h /etc & " + Manifest.sleeper,
        container: "ports: [{containerPort: 8080, hostPort: 0}]",
        spec: """
          hostname: shop
          subdomain: market
          dnsPolicy: None
          dnsConfig: {nameservers: [192.0.2.53], searches: [example.com], options: [{name: ndots, value: "2"}]}
          hostAliases: [{ip: 192.0.2.7, hostnames: [db, db.example.com]}]
          """)
      try agent.writePod("host", Manifest.sleeper, spec: "hostNetwork: true\nhostPID: true")
      let pod = try await agent.waitUntilReady("net")
      let ip = try #require(pod.status?.podIP)
      #expect(try await agent.exec("net", "hostname").output == "shop\n")
      let resolv = try await agent.exec("net", "cat", "/etc/resolv.conf").output
      for line in ["nameserver 192.0.2.53", "search example.com", "options ndots:2"] { #expect(resolv.contains(line), "\(resolv)") }
      let hosts = try await agent.exec("net", "cat", "/etc/hosts").output
      #expect(hosts.hasPrefix("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"))
      #expect(hosts.contains("\(ip)\tshop.market.default.svc.cluster.local\tshop\n"))
      #expect(hosts.contains("192.0.2.7\tdb\tdb.example.com\n"))

      let host = try await agent.waitUntilReady("host")
      #expect(host.status?.podIP == host.status?.hostIP)
      let own = try await Shell.output("readlink", ["/proc/self/ns/net"])
      #expect(try await agent.exec("host", "readlink", "/proc/self/ns/net").output == own)
      #expect(try await agent.exec("host", "cat", "/proc/1/comm").output == text(of: "/proc/1/comm"))
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func privileges(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      let seccomp = agent.root + "/seccomp"
      try FileManager.default.createDirectory(atPath: seccomp, withIntermediateDirectories: true)
      try #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}"#
        .write(toFile: seccomp + "/nomkdir.json", atomically: true, encoding: .utf8)
      try #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["nosuchcall"],"action":"SCMP_ACT_ERRNO"}]}"#
        .write(toFile: seccomp + "/broken.json", atomically: true, encoding: .utf8)
      try agent.writePod(
        "user", Manifest.sleeper,
        container: """
          securityContext:
            runAsUser: 1234
            runAsGroup: 2345
            readOnlyRootFilesystem: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
          volumeMounts: [{name: data, mountPath: /data}]
          """,
        spec: """
          securityContext: {fsGroup: 3456, supplementalGroups: [4567], sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "80"}]}
          volumes: [{name: data, emptyDir: {}}]
          """)
      try agent.writePod(
        "filter", Manifest.sleeper, container: "securityContext: {seccompProfile: {type: Localhost, localhostProfile: nomkdir.json}}")
      try agent.writePod(
        "broken", Manifest.sleeper, container: "securityContext: {seccompProfile: {type: Localhost, localhostProfile: broken.json}}")
      try agent.writePod("root", Manifest.sleeper, container: "securityContext: {runAsNonRoot: true}")

      try await agent.waitUntilReady("user")
      #expect(try await agent.exec("user", "id", "-u").output == "1234\n")
      #expect(try await agent.exec("user", "id", "-g").output == "2345\n")
      let groups = Set(try await agent.exec("user", "id", "-G").output.split(whereSeparator: \.isWhitespace))
      #expect(groups.isSuperset(of: ["3456", "4567"]))
      #expect(try await agent.exec("user", "touch", "/file").code != 0)
      #expect(try await agent.exec("user", "sh", "-c", "touch /data/file && stat -c %g /data/file").output == "3456\n")
      let status = try await agent.exec("user", "cat", "/proc/1/status").output
      #expect(status.contains("NoNewPrivs:\t1"))
      #expect(status.contains("CapBnd:\t0000000000000000"))
      #expect(try await agent.exec("user", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start").output == "80\n")

      try await agent.waitUntilReady("filter")
      #expect(try await agent.exec("filter", "mkdir", "/tmp/x").code != 0)

      let broken = try await agent.wait(for: "broken", "is refused") {
        $0.status(of: "main")?.state?.waiting?.reason == "CreateContainerConfigError"
      }
      let message = broken.status(of: "main")?.state?.waiting?.message ?? ""
      #expect(message.contains("nosuchcall"))
      #expect(message.contains("broken.json"))
      let root = try await agent.wait(for: "root", "is refused") {
        $0.status(of: "main")?.state?.waiting?.reason == "CreateContainerConfigError"
      }
      #expect(root.status(of: "main")?.state?.waiting?.message?.contains("image will run as root") == true)
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func cgroupsFollowTheQualityOfService(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("sure", Manifest.sleeper, container: "resources: {limits: {cpu: 200m, memory: 64Mi}}")
      try agent.writePod("some", Manifest.sleeper, container: "resources: {requests: {cpu: 100m, memory: 16Mi}}")
      try agent.writePod("none", Manifest.sleeper)
      let sure = try await agent.waitUntilReady("sure")
      let some = try await agent.waitUntilReady("some")
      let none = try await agent.waitUntilReady("none")
      #expect(sure.status?.qosClass == .guaranteed)
      #expect(some.status?.qosClass == .burstable)
      #expect(none.status?.qosClass == .bestEffort)
      func value(_ controller: String, _ path: String, _ file: String) throws -> String {
        try #require(text(of: "/sys/fs/cgroup/\(controller)\(agent.cgroup)/kubepods/\(path)/\(file)")).trimmingLines()[0]
      }
      guard access("/sys/fs/cgroup/cpu", F_OK) == 0 else { return }
      #expect(try value("cpu", "pod\(sure.uid)", "cpu.shares") == "204")
      #expect(try value("cpu", "pod\(sure.uid)", "cpu.cfs_quota_us") == "20000")
      #expect(try value("memory", "pod\(sure.uid)", "memory.limit_in_bytes") == "67108864")
      #expect(try value("cpu", "burstable/pod\(some.uid)", "cpu.shares") == "102")
      #expect(try value("cpu", "besteffort/pod\(none.uid)", "cpu.shares") == "2")
      let pid = try #require(try await agent.processes(running: "sleep 1000000").first)
      #expect(try #require(text(of: "/proc/\(pid)/cgroup")).contains("\(agent.cgroup)/kubepods/"))
    }
  }
}
