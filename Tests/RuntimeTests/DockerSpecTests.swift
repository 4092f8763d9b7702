import Foundation
import Testing

@testable import Runtime

struct DockerSpecTests {
  private func container(_ change: (inout CRIContainerConfig) -> Void) throws -> DockerContainerRequest {
    var config = CRIContainerConfig.with {
      $0.metadata.name = "app"
      $0.image.image = "sha256:1"
    }
    change(&config)
    let sandbox = CRIPodSandboxConfig.with {
      $0.logDirectory = "/var/log/pods/x"
      $0.linux.cgroupParent = "/kubepods.slice/kubepods-podu1.slice"
    }
    return try DockerContainerSpec.request(
      config, sandboxID: "s1", sandboxConfig: sandbox, runtime: "runc", oomScore: 5, logOptions: ["max-size": "10"])
  }

  private func sandbox(_ change: (inout CRIPodSandboxConfig) -> Void) throws -> DockerContainerRequest {
    var config = CRIPodSandboxConfig()
    change(&config)
    return try DockerSandboxSpec.request(config, image: "pause", runtime: "", oomScore: -998, logOptions: [:])
  }

  @Test func carriesTheCommand() throws {
    let request = try container {
      $0.command = ["/bin/sh"]
      $0.args = ["-c", "true"]
      $0.envs = [
        .with {
          $0.key = "A"
          $0.value = "b=c"
        }
      ]
      $0.workingDir = "/tmp"
      $0.tty = true
      $0.stdin = true
      $0.stdinOnce = true
      $0.logPath = "app/0.log"
      $0.labels = ["l": "1"]
      $0.annotations = ["a": "2"]
    }
    #expect(request.entrypoint == ["/bin/sh"])
    #expect(request.command == ["-c", "true"])
    #expect(request.environment == ["A=b=c"])
    #expect(request.workingDirectory == "/tmp")
    #expect(request.tty && request.opensStdin && request.stdinOnce)
    #expect(request.healthcheck.test == ["NONE"])
    #expect(
      request.labels == [
        "l": "1", "annotation.a": "2", "io.kubernetes.docker.type": "container", "io.kubernetes.sandbox.id": "s1",
        "io.kubernetes.container.logpath": "/var/log/pods/x/app/0.log",
      ])
    #expect(request.host.cgroupParent == "kubepods-podu1.slice")
    #expect(request.host.runtime == "runc")
    #expect(request.host.oomScoreAdj == 5)
    #expect(request.host.logConfig == .init(type: "json-file", config: ["max-size": "10"]))
  }

  @Test func leavesDefaultsToTheImage() throws {
    let request = try container { _ in }
    let json = String(decoding: try JSONEncoder().encode(request), as: UTF8.self)
    for name in ["Entrypoint", "Cmd", "Env", "User", "WorkingDir", "MaskedPaths", "SecurityOpt", "Privileged", "Memory", "Hostname"] {
      #expect(!json.contains("\"\(name)\""), "\(name)")
    }
  }

  @Test(arguments: [
    (CRINamespaceMode.container, nil), (.pod, "container:s1"), (.node, "host"), (.target, "container:t1"),
  ])
  func joinsProcesses(mode: CRINamespaceMode, expected: String?) throws {
    let request = try container {
      $0.linux.securityContext.namespaceOptions.pid = mode
      $0.linux.securityContext.namespaceOptions.targetID = "t1"
    }
    #expect(request.host.pidMode == expected)
    #expect(request.host.networkMode == "container:s1")
    #expect(request.host.ipcMode == "container:s1")
    #expect(request.host.utsMode == nil)
  }

  @Test func usesTheHostsNamespaces() throws {
    let request = try container {
      $0.linux.securityContext.namespaceOptions.network = .node
      $0.linux.securityContext.namespaceOptions.ipc = .node
    }
    #expect(request.host.networkMode == "container:s1")
    #expect(request.host.ipcMode == "host")
    #expect(request.host.utsMode == "host")
  }

  @Test func mountsFiles() throws {
    let request = try container {
      $0.mounts = [
        .with {
          $0.hostPath = "/h"
          $0.containerPath = "/c"
        },
        .with {
          $0.hostPath = "/h2"
          $0.containerPath = "/c2"
          $0.readonly = true
          $0.selinuxRelabel = true
          $0.propagation = .propagationBidirectional
        },
        .with {
          $0.hostPath = "/sys/pci0000:00"
          $0.containerPath = "/pci"
          $0.readonly = true
          $0.propagation = .propagationHostToContainer
        },
      ]
      $0.devices = [
        .with {
          $0.hostPath = "/dev/null"
          $0.containerPath = "/dev/x"
          $0.permissions = "r"
        }
      ]
    }
    #expect(request.host.binds == ["/h:/c", "/h2:/c2:ro,Z,rshared"])
    #expect(
      request.host.mounts == [
        .init(
          type: "bind", source: "/sys/pci0000:00", target: "/pci", readOnly: true, bindOptions: .init(propagation: "rslave"))
      ])
    #expect(request.host.devices == [.init(hostPath: "/dev/null", containerPath: "/dev/x", permissions: "r")])
  }

  @Test(
    arguments: [
      (1000, "", nil, "1000"), (1000, "", 50, "1000:50"), (nil, "www", nil, "www"), (nil, "www", 50, "www:50"), (nil, "", nil, nil),
    ] as [(Int64?, String, Int64?, String?)])
  func namesTheUser(user: Int64?, name: String, group: Int64?, expected: String?) throws {
    #expect(try DockerUser.text(user: user, name: name, group: group, operation: "X") == expected)
  }

  @Test func refusesAGroupAlone() {
    let error = #expect(throws: RuntimeError.self) { try DockerUser.text(user: nil, name: "", group: 5, operation: "X") }
    #expect(error?.code == .invalidArgument)
  }

  @Test func setsSecurity() throws {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let profile = folder.appendingPathComponent("p.json")
    try Data(#"{"defaultAction":"SCMP_ACT_ALLOW"}"#.utf8).write(to: profile)
    let request = try container {
      $0.linux.securityContext = .with {
        $0.capabilities.addCapabilities = ["NET_ADMIN"]
        $0.capabilities.dropCapabilities = ["ALL"]
        $0.noNewPrivs = true
        $0.readonlyRootfs = true
        $0.supplementalGroups = [1, 2]
        $0.selinuxOptions.type = "t"
        $0.selinuxOptions.level = "s0:c1"
        $0.seccomp.profileType = .localhost
        $0.seccomp.localhostRef = profile.path
        $0.apparmor.profileType = .localhost
        $0.apparmor.localhostRef = "localhost/mine"
        $0.maskedPaths = ["/proc/kcore"]
      }
    }
    #expect(request.host.addedCapabilities == ["NET_ADMIN"])
    #expect(request.host.droppedCapabilities == ["ALL"])
    #expect(request.host.readonlyRootfs == true)
    #expect(request.host.addedGroups == ["1", "2"])
    #expect(
      request.host.securityOptions == [
        "label=type:t", "label=level:s0:c1", "no-new-privileges", #"seccomp={"defaultAction":"SCMP_ACT_ALLOW"}"#, "apparmor=mine",
      ])
    #expect(request.host.maskedPaths == ["/proc/kcore"])
    #expect(request.host.readonlyPaths == [])
  }

  @Test func choosesSeccompProfiles() throws {
    #expect(try DockerSecurityOptions.seccomp(nil) == ["seccomp=unconfined"])
    #expect(try DockerSecurityOptions.seccomp(.with { $0.profileType = .unconfined }) == ["seccomp=unconfined"])
    #expect(try DockerSecurityOptions.seccomp(.with { $0.profileType = .runtimeDefault }) == [])
    let error = #expect(throws: RuntimeError.self) {
      try DockerSecurityOptions.seccomp(
        .with {
          $0.profileType = .localhost
          $0.localhostRef = "/does/not/exist.json"
        })
    }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.contains("/does/not/exist.json") == true)
  }

  @Test func givesPrivilegedContainersEverything() throws {
    let request = try container {
      $0.linux.securityContext.privileged = true
      $0.linux.securityContext.maskedPaths = ["/proc/kcore"]
    }
    #expect(request.host.privileged == true)
    #expect(request.host.maskedPaths == [])
    #expect(request.host.securityOptions == nil)
  }

  @Test func limitsResources() {
    let resources = DockerResources(
      .with {
        $0.cpuShares = 512
        $0.cpuPeriod = 100_000
        $0.cpuQuota = 50_000
        $0.memoryLimitInBytes = 1 << 20
        $0.cpusetCpus = "0-1"
        $0.unified = ["pids.max": "100", "memory.oom.group": "1"]
      })
    #expect(resources.cpuShares == 512)
    #expect(resources.cpuPeriod == 100_000)
    #expect(resources.cpuQuota == 50_000)
    #expect(resources.memory == 1 << 20)
    #expect(resources.memorySwap == 1 << 20)
    #expect(resources.cpusetCPUs == "0-1")
    #expect(resources.pidsLimit == 100)
    #expect(DockerResources(.init()) == DockerResources())
  }

  @Test func opensHostPorts() throws {
    let ports: [(CRIProtocol, Int32, Int32, String)] = [
      (.tcp, 80, 8080, ""), (.tcp, 80, 8081, "10.0.0.1"), (.udp, 53, 53, ""), (.tcp, 90, 0, ""),
    ]
    func set(_ config: inout CRIPodSandboxConfig) {
      config.hostname = "web"
      config.portMappings = ports.map { port in
        .with {
          $0.protocol = port.0
          $0.containerPort = port.1
          $0.hostPort = port.2
          $0.hostIp = port.3
        }
      }
    }
    let request = try sandbox(set)
    #expect(request.hostname == "web")
    #expect(Set(request.exposedPorts?.keys ?? [:].keys) == ["80/tcp", "53/udp"])
    #expect(
      request.host.portBindings == [
        "80/tcp": [.init(hostIP: "", hostPort: "8080"), .init(hostIP: "10.0.0.1", hostPort: "8081")],
        "53/udp": [.init(hostIP: "", hostPort: "53")],
      ])
    #expect(request.host.networkMode == "default")
    #expect(request.host.ipcMode == "shareable")

    let onHost = try sandbox {
      set(&$0)
      $0.linux.securityContext.namespaceOptions = .with {
        $0.network = .node
        $0.pid = .node
        $0.ipc = .node
      }
    }
    #expect(onHost.hostname == nil)
    #expect(onHost.host.portBindings == nil)
    #expect([onHost.host.networkMode, onHost.host.pidMode, onHost.host.ipcMode] == ["host", "host", "host"])
  }

  @Test(arguments: [
    ("", nil), ("/kubepods/burstable/podu1", "/kubepods/burstable/podu1"),
    ("/kubepods.slice/kubepods-burstable.slice", "kubepods-burstable.slice"), ("kubepods.slice", "kubepods.slice"),
  ])
  func namesTheCgroup(path: String, expected: String?) {
    #expect(DockerSandboxSpec.cgroupParent(path) == expected)
  }

  @Test func writesResolvConf() {
    let dns = CRIDNSConfig.with {
      $0.servers = ["10.96.0.10", "1.1.1.1"]
      $0.searches = ["default.svc.cluster.local", "svc.cluster.local"]
      $0.options = ["ndots:5"]
    }
    #expect(
      DockerResolvConf.text(dns)
        == "search default.svc.cluster.local svc.cluster.local\nnameserver 10.96.0.10\nnameserver 1.1.1.1\noptions ndots:5\n")
    #expect(DockerResolvConf.text(.init()) == "")
  }
}
