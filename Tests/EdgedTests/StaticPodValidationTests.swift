import KubernetesAPI
import Testing
import YAML

@testable import Edged

@Suite struct StaticPodValidationTests {
  private func problems(_ text: String) -> [String] {
    ManifestReader(nodeName: "edge-1").read(Array(text.utf8), file: "/manifests/web.yaml").problems.map(\.description)
  }

  /// A manifest with fields of the pod's spec and of its one container.
  private func manifest(spec: String = "", container: String = "") -> String {
    func indented(_ text: String, _ spaces: Int) -> String {
      text.split(separator: "\n").map { String(repeating: " ", count: spaces) + $0 + "\n" }.joined()
    }
    return """
      apiVersion: v1
      kind: Pod
      metadata:
        name: web
      spec:
      \(indented(spec, 2))  containers:
        - name: main
          image: nginx
      \(indented(container, 4))
      """
  }

  @Test func acceptsAWholePod() {
    let text = """
      apiVersion: v1
      kind: Pod
      metadata: {name: web, namespace: shop, labels: {app.kubernetes.io/name: web}, annotations: {Example.com/x: "1"}}
      spec:
        hostAliases: [{ip: 10.0.0.1, hostnames: [a.b]}]
        dnsPolicy: None
        dnsConfig: {nameservers: [1.1.1.1], options: [{name: ndots, value: "2"}]}
        securityContext: {fsGroup: 0, seccompProfile: {type: Localhost, localhostProfile: a/b.json}}
        volumes:
        - {name: cache, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
        - {name: default}
        - {name: logs, hostPath: {path: /var/log/web, type: DirectoryOrCreate}}
        - name: info
          projected: {sources: [{downwardAPI: {items: [{path: a/b, mode: 0400, fieldRef: {fieldPath: "metadata.labels['x']"}}]}}]}
        initContainers:
        - {name: init, image: "busybox:1", command: [sh, -c, "true"]}
        - name: side
          image: side:1
          restartPolicy: Always
          startupProbe: {grpc: {port: 9000}}
        containers:
        - name: main
          image: localhost:5000/web@sha256:0000000000000000000000000000000000000000000000000000000000000000
          ports: [{name: http, containerPort: 80, hostPort: 8080}, {containerPort: 53, hostPort: 8080, protocol: UDP}]
          env: [{name: A, value: b}, {name: "B-1.x", valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
          resources: {requests: {cpu: 100m, memory: 1Mi}, limits: {memory: 2Mi, example.com/gpu: 1}}
          volumeMounts: [{name: cache, mountPath: /cache, subPath: a/b}, {name: logs, mountPath: /logs/..x}]
          livenessProbe: {httpGet: {port: http, scheme: HTTPS}, terminationGracePeriodSeconds: 5}
          lifecycle: {preStop: {sleep: {seconds: 5}}}
      """
    #expect(problems(text) == [])
  }

  @Test(arguments: [
    ("hostNetwork: yes please", "expected true or false, found a string"),
    ("terminationGracePeriodSeconds: -1", "web.yaml:6: spec.terminationGracePeriodSeconds: -1 is too small: at least 0"),
    ("activeDeadlineSeconds: 0", "spec.activeDeadlineSeconds: 0 is not in the range 1 to 2147483647"),
    ("dnsPolicy: None", "web.yaml:5: spec.dnsConfig.nameservers: needs at least one entry where dnsPolicy is None"),
    ("dnsConfig: {nameservers: [dns.example.com]}", "spec.dnsConfig.nameservers[0]: \"dns.example.com\" must be an IP address"),
    ("hostname: Web", "spec.hostname: \"Web\" must be 1 to 63 lower-case"),
    ("hostAliases: [{ip: 1.2.3, hostnames: [x]}]", "spec.hostAliases[0].ip: \"1.2.3\" must be an IP address"),
    ("hostPID: true\nshareProcessNamespace: true", "web.yaml:7: spec.shareProcessNamespace: must not be true where hostPID is true"),
    ("hostUsers: false\nhostIPC: true", "spec.hostIPC: must not be true where hostUsers is false"),
    ("securityContext: {fsGroup: -5}", "spec.securityContext.fsGroup: -5 is not in the range 0 to 2147483647"),
    ("securityContext: {fsGroupChangePolicy: Never}", "\"Never\" is unknown; allowed are Always, OnRootMismatch"),
    ("securityContext: {seccompProfile: {type: Localhost}}", "seccompProfile.localhostProfile: is missing: the type is Localhost"),
    ("securityContext: {seccompProfile: {type: Localhost, localhostProfile: ../x}}", "\"../x\" must not contain \"..\""),
    ("hostNetwork: true\nsecurityContext: {sysctls: [{name: net.core.somaxconn, value: \"1\"}]}", "can't be set where hostNetwork is true"),
    ("volumes: [{name: A, emptyDir: {}}]", "spec.volumes[0].name: \"A\" must be 1 to 63 lower-case letters"),
    ("volumes: [{name: a}, {name: a}]", "spec.volumes[1].name: \"a\" is the name of another volume of this pod"),
    ("volumes: [{name: a, emptyDir: {}, hostPath: {path: /a}}]", "spec.volumes[0]: has more than one source: emptyDir, hostPath"),
    ("volumes: [{name: a, emptyDir: {medium: Disk}}]", "emptyDir.medium: \"Disk\" is unknown; allowed are \"\", Memory, HugePages"),
    ("volumes: [{name: a, hostPath: {path: /a/../b}}]", "hostPath.path: \"/a/../b\" must not contain \"..\""),
    ("volumes: [{name: a, hostPath: {path: a}}]", "hostPath.path: \"a\" must be an absolute path"),
    ("volumes: [{name: a, hostPath: {path: /a, type: Dir}}]", "hostPath.type: \"Dir\" is unknown; allowed are \"\", DirectoryOrCreate"),
    ("volumes: [{name: a, nfs: {server: x, path: /}}]", "spec.volumes[0].nfs: a static pod can't have this; volumes can be: emptyDir"),
    ("volumes: [{name: a, configMap: {name: x}}]", "spec.volumes[0].configMap: a static pod can't have this"),
    ("volumes: [{name: a, projected: {sources: [{secret: {name: x}}]}}]", "spec.volumes[0].projected.sources[0].secret: a static pod"),
    (
      "volumes: [{name: a, downwardAPI: {items: [{path: ../a, fieldRef: {fieldPath: metadata.name}}]}}]",
      "items[0].path: \"../a\" must not contain \"..\""
    ),
    (
      "volumes: [{name: a, downwardAPI: {items: [{path: a, fieldRef: {fieldPath: status.podIP}}]}}]",
      "fieldPath: \"status.podIP\" is unknown; allowed are metadata.name"
    ),
    (
      "volumes: [{name: a, downwardAPI: {items: [{path: a, resourceFieldRef: {containerName: x, resource: limits.cpu}}]}}]",
      "containerName: \"x\" is no container of this pod; containers are: main"
    ),
    ("volumes: [{name: a, downwardAPI: {defaultMode: 1000}}]", "defaultMode: 1000 is not in the range 0 to 511"),
    ("serviceAccountName: robot", "web.yaml:6: spec.serviceAccountName: a static pod can't refer to ServiceAccounts"),
    ("imagePullSecrets: [{name: x}]", "spec.imagePullSecrets: a static pod can't refer to Secrets"),
    ("initContainers: [{name: main, image: x}]", "spec.containers[0].name: \"main\" is the name of another container of this pod"),
    (
      "initContainers: [{name: i, image: x, livenessProbe: {exec: {command: [x]}}}]",
      "spec.initContainers[0].livenessProbe: an init container can only have it with restartPolicy Always"
    ),
    (
      "initContainers: [{name: i, image: x, restartPolicy: Always, ports: [{containerPort: 1, hostPort: 80}]}]\nhostNetwork: false",
      ""
    ),
    ("restartPolicy: Sometimes", "spec.restartPolicy: "),
    ("resources: {requests: {cpu: 2}, limits: {cpu: 1}}", "2 is more than the limit, 1"),
  ])
  func findsProblemsOfThePod(spec: String, expected: String) {
    let found = problems(manifest(spec: spec))
    if expected.isEmpty { #expect(found == []) } else { #expect(found.count == 1 && found[0].contains(expected), "\(found)") }
  }

  @Test(arguments: [
    (
      "volumeMounts: [{name: data, mountPath: /d}]",
      "web.yaml:9: spec.containers[0].volumeMounts[0].name: \"data\" names no volume of this pod; it has none"
    ),
    ("ports: [{containerPort: 0}]", "ports[0].containerPort: 0 is not in the range 1 to 65535"),
    ("ports: [{containerPort: 1, protocol: ICMP}]", "\"ICMP\" is unknown; allowed are TCP, UDP, SCTP"),
    ("ports: [{containerPort: 1, name: HTTP}]", "ports[0].name: \"HTTP\" must be 1 to 15 lower-case letters"),
    ("ports: [{containerPort: 1, name: a}, {containerPort: 2, name: a}]", "\"a\" is the name of another port of this container"),
    (
      "ports: [{containerPort: 1, hostPort: 80, hostIP: 10.0.0.1}, {containerPort: 2, hostPort: 80}]",
      "ports[1].hostPort: 80/TCP is taken by container \"main\""
    ),
    ("env: [{name: A=B, value: x}]", "env[0].name: \"A=B\" must be printable ASCII"),
    ("env: [{name: A, valueFrom: {}}]", "env[0].valueFrom: needs a source, one of fieldRef"),
    ("env: [{name: A, valueFrom: {fieldRef: {fieldPath: metadata.labels}}}]", "fieldPath: \"metadata.labels\" is unknown"),
    ("env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]", "secretKeyRef: a static pod can't refer to Secrets"),
    ("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.gpu}}}]", "resource: \"limits.gpu\" is unknown"),
    ("envFrom: [{configMapRef: {name: c}}]", "envFrom[0].configMapRef: a static pod can't refer to ConfigMaps"),
    ("resources: {requests: {memory: 2Gi}, limits: {memory: 1Gi}}", "resources.requests.memory: 2Gi is more than the limit, 1Gi"),
    ("resources: {limits: {mem: 1Gi}}", "resources.limits.mem: \"mem\" is unknown"),
    ("resources: {limits: {memory: lots}}", "resources.limits.memory: \"lots\" is no quantity"),
    ("resources: {requests: {cpu: -1}}", "resources.requests.cpu: -1 must not be negative"),
    ("resources: {limits: {hugepages-2Mi: 4Mi}}", "resources: huge pages need cpu or memory beside them"),
    ("livenessProbe: {}", "livenessProbe: needs a handler, one of exec, httpGet, tcpSocket, grpc"),
    ("livenessProbe: {exec: {command: [x]}, tcpSocket: {port: 1}}", "livenessProbe: has more than one handler: exec, tcpSocket"),
    ("livenessProbe: {exec: {command: []}}", "livenessProbe.exec.command: is missing"),
    ("livenessProbe: {exec: {command: [x]}, periodSeconds: -1}", "livenessProbe.periodSeconds: -1 is too small: at least 1"),
    ("livenessProbe: {exec: {command: [x]}, successThreshold: 2}", "livenessProbe.successThreshold: 2 must be 1"),
    ("readinessProbe: {exec: {command: [x]}, successThreshold: 2}", ""),
    ("readinessProbe: {exec: {command: [x]}, terminationGracePeriodSeconds: 2}", "a readiness probe ends nothing"),
    ("startupProbe: {httpGet: {port: 70000}}", "httpGet.port: 70000 is not in the range 1 to 65535"),
    ("startupProbe: {httpGet: {port: http}}", "httpGet.port: \"http\" names no port of this container; it has none with a name"),
    ("startupProbe: {httpGet: {port: 80, scheme: http}}", "scheme: \"http\" is unknown; allowed are HTTP, HTTPS"),
    ("startupProbe: {httpGet: {port: 80, httpHeaders: [{name: \"a b\", value: x}]}}", "\"a b\" is no name of an HTTP header"),
    ("lifecycle: {postStart: {}}", "lifecycle.postStart: needs a handler"),
    ("lifecycle: {preStop: {sleep: {seconds: 31}}}", "lifecycle.preStop.sleep.seconds: 31 is not in the range 0 to 30"),
    ("securityContext: {privileged: true, allowPrivilegeEscalation: false}", "must not be false where privileged is true"),
    ("securityContext: {procMount: Unmasked}", "\"Unmasked\" needs hostUsers to be false"),
    ("volumeDevices: [{name: x, devicePath: /dev/x}]", "volumeDevices[0].name: \"x\" is no persistentVolumeClaim"),
    ("imagePullPolicy: Maybe", "spec.containers[0].imagePullPolicy: "),
    ("command: ls", "spec.containers[0].command: expected a list, found a string"),
  ])
  func findsProblemsOfAContainer(container: String, expected: String) {
    let found = problems(manifest(container: container))
    if expected.isEmpty { #expect(found == []) } else { #expect(found.count == 1 && found[0].contains(expected), "\(found)") }
  }

  @Test(arguments: [
    ("mountPath: /a", ""), ("mountPath: a", ""), ("subPath: x", "mountPath: is missing"), ("mountPath: \"/a:b\"", "must not contain \":\""),
    ("mountPath: /a/../b", "must not contain \"..\""), ("mountPath: /", "must not be the root of the container"),
    ("mountPath: /other/.", "\"/other/.\" is where volume \"v\" is mounted already"),
    ("mountPath: /a, subPath: /b", "must be a relative path"),
    ("mountPath: /a, subPath: b/..", "must not contain \"..\""), ("mountPath: /a, subPathExpr: ../$(A)", "must not contain \"..\""),
    ("mountPath: /a, subPath: b, subPathExpr: c", "must not be set where subPath is"),
    ("mountPath: /a, mountPropagation: Both", "allowed are None, HostToContainer, Bidirectional"),
    ("mountPath: /a, mountPropagation: Bidirectional", "\"Bidirectional\" needs a privileged container"),
    ("mountPath: /a, recursiveReadOnly: Enabled", "\"Enabled\" needs readOnly to be true"),
  ])
  func findsProblemsOfMounts(mount: String, expected: String) {
    let fields = mount.contains("mountPath") ? mount : mount + ", mountPath: \"\""
    let found = problems(
      manifest(spec: "volumes: [{name: v}]", container: "volumeMounts: [{name: v, mountPath: /other}, {name: v, \(fields)}]"))
    if expected.isEmpty { #expect(found == []) } else { #expect(found.count == 1 && found[0].contains(expected), "\(found)") }
  }

  @Test func tellsAllProblemsAtOnceWithTheirLines() {
    let text = """
      apiVersion: v1
      kind: Pod
      metadata:
        name: Web_1
        uid: ../../etc
      spec:
        volumes:
        - name: cache
        - name: logs
        containers:
        - name: main
          volumeMounts:
          - mountPath: /data
            name: data
        - name: main
          image: x
      """
    let found = problems(text)
    let beginnings = [
      "web.yaml:4: metadata.name: \"Web_1\" must be", "web.yaml:5: metadata.uid: \"../../etc\" must be",
      "web.yaml:11: spec.containers[0].image: is missing", "web.yaml:14: spec.containers[0].volumeMounts[0].name: \"data\" names no volume",
      "web.yaml:15: spec.containers[1].name: \"main\" is the name of another container",
    ]
    #expect(found.count == beginnings.count)
    for (problem, beginning) in zip(found, beginnings) { #expect(problem.hasPrefix(beginning)) }
    #expect(found[3].hasSuffix("\"data\" names no volume of this pod; volumes are: cache, logs"))
  }

  @Test(arguments: [
    ("", "web.yaml: the file is empty; remove it to remove its pods"), ("# nothing\n", ""), ("---\n---\n", ""),
    ("kind: Pod", "web.yaml:1: apiVersion: is missing: it must be v1"),
    ("apiVersion: v1\nkind: Deployment", "web.yaml:2: kind: \"Deployment\" must be Pod"),
    ("- a", "web.yaml:1: expected a pod, found a list"),
    ("a: [", "web.yaml:"), ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}", "web.yaml:1: spec: is missing"),
    ("apiVersion: v1\nkind: Pod\nmetadata: {}\nspec: {containers: [{name: a, image: b}]}", "web.yaml:3: metadata.name: is missing"),
    ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: []}", "web.yaml:4: spec.containers: needs at least one"),
  ])
  func judgesDocuments(text: String, expected: String) {
    let found = problems(text)
    if expected.isEmpty { #expect(found == []) } else { #expect(found.count == 1 && found[0].hasPrefix(expected), "\(found)") }
  }

  @Test func valuesOfTheEnvironmentAreNotRepeated() {
    let found = problems(manifest(container: "env: [{name: PASSWORD, value: [hunter2]}, {name: B, value: {x: hunter2}}]"))
    #expect(found.count == 1 && !found[0].contains("hunter2"))
  }
}
