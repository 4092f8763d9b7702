import Core
import Glibc
import Testing
import YAML

/// A directory that is removed when the test is over.
final class TemporaryDirectory {
  let path: String
  init() {
    var template = Array("/tmp/edgecore-test-XXXXXX".utf8CString)
    path = mkdtemp(&template).map { String(cString: $0) } ?? "/nonexistent"
  }
  deinit {
    Self.remove(path)
  }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { remove("\(path)/\(name)") }
      }
      closedir(directory)
    }
    _ = Glibc.remove(path)
  }

  @discardableResult
  func write(_ name: String, _ text: String) -> String {
    let path = "\(path)/\(name)"
    var directory = ""
    for part in name.split(separator: "/").dropLast() {
      directory += "/\(part)"
      mkdir(self.path + directory, 0o755)
    }
    if let file = fopen(path, "w") {
      fputs(text, file)
      fclose(file)
    }
    return path
  }
}

@Suite struct ConfigurationTests {
  let directory = TemporaryDirectory()

  func loader(_ text: String? = nil) -> ConfigurationLoader {
    var loader = ConfigurationLoader()
    loader.defaultFile = "\(directory.path)/none.yaml"
    loader.confDirectory = "\(directory.path)/none"
    if let text { loader.file = directory.write("edgecore.yaml", text) }
    return loader
  }

  @Test func defaults() throws {
    let loaded = try loader().load()
    let edged = loaded.configuration.modules.edged
    #expect(loaded.files.isEmpty)
    #expect(!edged.hostnameOverride.isEmpty)
    #expect(edged.tailoredKubeletConfig.evictionHard["nodefs.available"] == "10%")
    #expect(edged.tailoredKubeletConfig.runtimeRequestTimeout == .minutes(2))
    #expect(edged.podSandboxImage == "kubeedge/pause:3.6")
    #expect(loaded.configuration.restartsModules)
    #expect(loaded.tree.unknownKeys.isEmpty)
  }

  @Test func fileIsMergedOntoDefaultsIgnoringCase() throws {
    let loaded = try loader(
      """
      apiVersion: edgecore.config.kubeedge.io/v1alpha2
      kind: EdgeCore
      Modules:
        EDGED:
          hostnameoverride: node-1
          nodeLabels: {A: b}
          tailoredKubeletConfig:
            evictionHard: {memory.available: 200Mi}
            clusterDNS: [10.0.0.10]
            cpuCFSQuotaPeriod: 50ms
        edgeHub:
          httpServer: https://10.0.0.1:10002
          token: s3cret-value
        edgeMesh:
          enable: true
      featureGates: {moduleRestart: true}
      """
    ).load()
    let edged = loaded.configuration.modules.edged
    #expect(edged.hostnameOverride == "node-1")
    #expect(edged.nodeLabels == ["A": "b"])
    #expect(edged.tailoredKubeletConfig.evictionHard["memory.available"] == "200Mi")
    #expect(edged.tailoredKubeletConfig.evictionHard["nodefs.available"] == "10%")
    #expect(edged.tailoredKubeletConfig.clusterDNS == ["10.0.0.10"])
    #expect(edged.tailoredKubeletConfig.cpuCFSQuotaPeriod == .milliseconds(50))
    #expect(loaded.tree.unknownKeys.map(\.key) == ["modules.edgeMesh"])
    #expect(loaded.configuration.modules.edgeHub.httpServer == "https://10.0.0.1:10002")
    #expect(loaded.tree.value(at: [.key("modules"), .key("edgeHub"), .key("token")]) == .string("s3cret-value"))
    #expect(!loaded.tree.masked.jsonText().contains("s3cret-value"))
  }

  @Test func precedence() throws {
    var loader = loader("modules: {edged: {nodeIP: 10.0.0.1, podSandboxImage: file, hostnameOverride: file, rootDirectory: /file}}")
    loader.environment = [
      "EDGECORE_MODULES_EDGED_NODEIP": "10.0.0.2", "edgecore_modules_edged_hostname_override": "env",
      "EDGECORE_MODULES_EDGED_PODSANDBOXIMAGE": "env", "PATH": "/bin", "EDGECORE_NONSENSE": "x",
    ]
    loader.settings = ["modules.edged.nodeIP=10.0.0.3", "modules.edged.podSandboxImage=cli"]
    loader.cloud = try JSONValue(json: #"{"modules":{"edged":{"nodeIP":"10.0.0.4"}}}"#)
    let loaded = try loader.load()
    let edged = loaded.configuration.modules.edged
    #expect(edged.nodeIP == "10.0.0.4")
    #expect(edged.podSandboxImage == "cli")
    #expect(edged.hostnameOverride == "env")
    #expect(edged.rootDirectory == "/file")
    func source(_ key: String) -> String {
      loaded.tree.source(of: [.key("modules"), .key("edged"), .key(key)]).description
    }
    #expect(source("nodeIP") == "the cloud's update")
    #expect(source("podSandboxImage") == "--set modules.edged.podSandboxImage")
    #expect(source("hostnameOverride") == "the environment's edgecore_modules_edged_hostname_override")
    #expect(source("rootDirectory") == "\(directory.path)/edgecore.yaml:1")
    #expect(source("runtimeCgroups") == "built-in default")
    #expect(loaded.tree.unknownKeys.map(\.key) == ["EDGECORE_NONSENSE"])
  }

  @Test func textsBecomeTheTypeOfTheirKey() throws {
    var loader = loader()
    loader.settings = [
      "modules.edged.tailoredKubeletConfig.clusterDNS=10.0.0.1, 10.0.0.2", "modules.edged.nodeLabels=a=1,b.c/d=yes",
      "modules.edged.nodeLabels.e.f/g=true", "modules.edged.tailoredKubeletConfig.maxPods=20",
      "modules.edged.hostnameOverride=123", "modules.edged.tailoredKubeletConfig.enforceNodeAllocatable=[none]",
      "mqtt.mode=1",
    ]
    loader.environment = ["EDGECORE_LOGGING_LEVELS": "{edged: debug}", "EDGECORE_MODULES_EDGED_ENABLE": "false", "EDGECORE_MQTT_QOS": "2"]
    let configuration = try loader.load().configuration
    #expect(configuration.modules.edged.tailoredKubeletConfig.clusterDNS == ["10.0.0.1", "10.0.0.2"])
    #expect(configuration.modules.edged.nodeLabels == ["a": "1", "b.c/d": "yes", "e.f/g": "true"])
    #expect(configuration.modules.edged.tailoredKubeletConfig.maxPods == 20)
    #expect(configuration.modules.edged.hostnameOverride == "123")
    #expect(configuration.modules.edged.tailoredKubeletConfig.enforceNodeAllocatable == ["none"])
    #expect(configuration.logging.levels == ["edged": "debug"])
    #expect(!configuration.modules.edged.enable)
    #expect(configuration.modules.eventBus.mqttMode == 1)
    #expect(configuration.modules.eventBus.mqttQOS == 2)
  }

  @Test func wrongValuesOfTheTunnelAreNamed() throws {
    var loader = loader()
    loader.settings = [
      "modules.edgeStream.enable=true", "modules.edgeStream.server=cloud", "modules.edgeStream.tlsTunnelCAFile=ca.crt",
      "modules.edgeStream.writeDeadline=0",
    ]
    let error = #expect(throws: ConfigurationError.self) { try loader.load() }
    #expect(
      error?.problems.map(\.key).sorted() == [
        "modules.edgeStream.server", "modules.edgeStream.tlsTunnelCAFile", "modules.edgeStream.writeDeadline",
      ])
    loader.settings = ["modules.edgeStream.enable=true", "modules.edgeStream.server=10.0.0.1:10004"]
    let stream = try loader.load().configuration.modules.edgeStream
    #expect(stream.server == "10.0.0.1:10004" && stream.tlsTunnelCertFile == EdgeHubConfiguration().tlsCertFile)
  }

  private static let kubelet = "modules.edged.tailoredKubeletConfig"

  @Test(arguments: [
    ("cgroupDriver: systemdd", #"\#(kubelet).cgroupDriver: "systemdd" is not allowed; allowed: cgroupfs, systemd"#),
    ("maxPods: many", "\(kubelet).maxPods: expected a whole number, found a string"),
    ("maxPods: -1", "\(kubelet).maxPods: -1 is not allowed; allowed: 0 or more"),
    ("imageGCHighThresholdPercent: 101", "\(kubelet).imageGCHighThresholdPercent: 101 is not allowed; allowed: 0 to 100"),
    ("imageGCLowThresholdPercent: 90", "\(kubelet).imageGCLowThresholdPercent: 90 must be below imageGCHighThresholdPercent, 85"),
    ("syncFrequency: 10", "\(kubelet).syncFrequency: expected a string, found the number 10"),
    ("syncFrequency: soon", #"\#(kubelet).syncFrequency: "soon" is no duration, e.g. 1m30s, 100ms, 0s"#),
    ("syncFrequency: -1s", "\(kubelet).syncFrequency: -1s must not be negative"),
    ("evictionHard: {memory.available: 120%}", #"\#(kubelet).evictionHard["memory.available"]: "120%" is neither an amount (100Mi) "#),
    ("evictionHard: {memory.free: 1Mi}", #"\#(kubelet).evictionHard["memory.free"]: "memory.free" is not allowed; allowed: "#),
    ("containerRuntimeEndpoint: /run/x.sock", #"\#(kubelet).containerRuntimeEndpoint: "/run/x.sock" is no endpoint"#),
    ("containerLogMaxFiles: 1", "\(kubelet).containerLogMaxFiles: 1 is not allowed; allowed: 2 or more"),
    ("containerLogMaxSize: big", #"\#(kubelet).containerLogMaxSize: "big" is no size, e.g. 10Mi"#),
    ("clusterDNS: [dns]", #"\#(kubelet).clusterDNS: "dns" is no IP address"#),
    ("clusterDNS: 10.0.0.1", "\(kubelet).clusterDNS: expected a list, found a string"),
    ("maxParallelImagePulls: 3", "\(kubelet).maxParallelImagePulls: 3 needs serializeImagePulls: false"),
    ("tlsCertFile: /a.crt", "\(kubelet).tlsCertFile: needs tlsPrivateKeyFile and authentication.x509.clientCAFile too"),
    ("tlsPrivateKeyFile: a.key", "\(kubelet).tlsPrivateKeyFile: "),
    ("crashLoopBackOff: {maxContainerRestartPeriod: 10m}", "\(kubelet).crashLoopBackOff.maxContainerRestartPeriod: 10m0s is not allowed"),
    ("cpuCFSQuotaPeriod: 2s", "\(kubelet).cpuCFSQuotaPeriod: 2s is not allowed; allowed: 1ms to 1s"),
    ("systemReserved: {cpu: lots}", #"\#(kubelet).systemReserved.cpu: "lots" is no amount"#),
  ])
  func wrongValuesNameKeyAllowedAndLine(line: String, expected: String) throws {
    let text = "modules:\n  edged:\n    tailoredKubeletConfig:\n      maxOpenFiles: 5\n      \(line)\n"
    let error = #expect(throws: ConfigurationError.self) { try loader(text).load() }
    let description = error?.description ?? ""
    #expect(description.hasPrefix(expected), "\(description)")
    #expect(description.hasSuffix("(from \(directory.path)/edgecore.yaml:5)"), "\(description)")
  }

  @Test func allProblemsAtOnce() {
    let text =
      "modules: {edged: {hostnameOverride: Node_1, nodeIP: x, tailoredKubeletConfig: {readOnlyPort: 70000}}}\nlogging: {level: loud}"
    let error = #expect(throws: ConfigurationError.self) { try loader(text).load() }
    #expect(
      error?.problems.map(\.key).sorted() == [
        "logging.level", "modules.edged.hostnameOverride", "modules.edged.nodeIP", "modules.edged.tailoredKubeletConfig.readOnlyPort",
      ])
  }

  @Test(arguments: [
    ("kind: Pod\n", "kind: \"Pod\" is not allowed; allowed: EdgeCore"), ("- a\n", "expected an object"), ("a: [1\n", "did not find"),
    ("a: 1\na: 2\n", "given twice"), ("apiVersion: edgecore.config.kubeedge.io/v1\nkind: EdgeCore\n", "apiVersion: "),
    ("modules: 3\n", "modules: expected an object, found the number 3"),
  ])
  func wrongFiles(text: String, part: String) {
    let error = #expect(throws: ConfigurationError.self) { try loader(text).load() }
    #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    #expect(error?.description.contains("\(directory.path)/edgecore.yaml:") == true, "\(error?.description ?? "")")
  }

  @Test func missingFileIsAnErrorOnlyIfAskedFor() throws {
    var loader = loader()
    loader.file = "/nonexistent/edgecore.yaml"
    let error = #expect(throws: ConfigurationError.self) { try loader.load() }
    #expect(error?.description.contains("/nonexistent/edgecore.yaml") == true)
  }

  @Test func theOldestFilesAsTheyWereShipped() throws {
    let configuration = try loader(
      """
      mqtt.server: tcp://127.0.0.1:1883
      modules:
        enabled: [eventbus, servicebus, websocket, metaManager, edged, twin, dbTest, edgemesh]
      """
    ).load().configuration
    // No module bore that name: everybody on the node could start pods.
    #expect(!configuration.modules.dbTest.enable)
    #expect(configuration.modules.serviceBus.enable && configuration.modules.edged.enable)
    // Who named no mode had a broker of the agent's own.
    #expect(configuration.modules.eventBus.mode == .internal)
    let named = try loader("modules.enabled: eventbus, testManager\nmqtt.mode: 2\n").load().configuration
    #expect(named.modules.dbTest.enable && named.modules.eventBus.enable && !named.modules.edged.enable)
    #expect(named.modules.eventBus.mode == .external)
    // What only the internal broker uses is of no account without one.
    #expect(try loader("mqtt:\n  mode: 2\n  qos: 3\n").load().configuration.modules.eventBus.mode == .external)
  }

  @Test func flatKeysOfOldFiles() throws {
    let loaded = try loader(
      """
      mqtt:
        server: tcp://10.0.0.1:1883
        internal-server: tcp://127.0.0.1:1999
        mode: 0
        qos: 1
        retain: true
        session-queue-size: 7
        other: 1
      edgehub.controller.node-id: old-node
      modules:
        enabled: [eventbus, websocket, metaManager]
      """
    ).load()
    let configuration = loaded.configuration
    let bus = configuration.modules.eventBus
    #expect(bus.mqttServerExternal == "tcp://10.0.0.1:1883")
    #expect(bus.mqttServerInternal == "tcp://127.0.0.1:1999")
    #expect(bus.mqttMode == 0)
    #expect(bus.mqttQOS == 1)
    #expect(bus.mqttRetain)
    #expect(bus.mqttSessionQueueSize == 7)
    #expect(bus.enable)
    #expect(!configuration.modules.edged.enable)
    #expect(configuration.modules.edged.hostnameOverride == "old-node")
    #expect(loaded.tree.value(at: [.key("modules"), .key("serviceBus"), .key("enable")]) == .bool(false))
    #expect(loaded.tree.value(at: [.key("modules"), .key("edgeHub"), .key("enable")]) == .bool(true))
    #expect(loaded.tree.unknownKeys.map(\.key) == ["mqtt"])
    #expect(try loader("mqtt:\n  mode: 3\n").load().configuration.modules.eventBus.mode == .internal)
    let error = #expect(throws: ConfigurationError.self) {
      try loader("x: 1\nmqtt:\n  qos: 3\n  session-queue-size: 0\n").load()
    }
    #expect(
      error?.description.contains(
        "modules.eventBus.mqttQOS: 3 is not allowed; allowed: 0 to 2 (the key was mqtt.qos before) (from \(directory.path)/edgecore.yaml:3)"
      )
        == true)
    #expect(
      error?.description.contains(
        "modules.eventBus.mqttSessionQueueSize: 0 is not allowed; allowed: 1 or more (the key was mqtt.session-queue-size before)") == true)
  }

  @Test(arguments: [
    ("tcp://127.0.0.1:1883", "127.0.0.1", 1883, false), ("mqtt://broker", "broker", 1883, false),
    ("ssl://b.example:8884/", "b.example", 8884, true),
    ("MQTTS://[::1]", "::1", 8883, true), ("tls://[fe80::1]:99", "fe80::1", 99, true),
  ])
  func brokerURLs(text: String, host: String, port: Int, isTLS: Bool) throws {
    let address = try BrokerAddress(text)
    #expect(address.host == host && address.port == port && address.usesTLS == isTLS)
  }

  @Test(arguments: [
    "127.0.0.1:1883", "tcp://", "tcp://:1883", "tcp://a:0", "tcp://a:70000", "tcp://::1", "http://a:80", "ws://a:80", "tcp://a/b",
    "tcp://user:secret@a:1883", "unix://relative",
  ])
  func noBrokerURLs(text: String) {
    let error = #expect(throws: BrokerAddressError.self) { try BrokerAddress(text) }
    #expect(error?.description.contains("secret") == false)
    #expect(throws: ConfigurationError.self) { try loader("modules: {eventBus: {mqttServerExternal: \"\(text)\"}}").load() }
    // Nobody asks for it in the other mode.
    #expect(throws: Never.self) { try loader("modules: {eventBus: {mqttMode: 0, mqttServerExternal: \"\(text)\"}}").load() }
  }

  @Test func olderEndpointsAndImagesFollowTheEngine() throws {
    let docker = "unix:///var/run/docker.sock"
    let older = try loader("modules: {edged: {remoteRuntimeEndpoint: \(docker)}}").load()
    #expect(older.configuration.modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint == docker)
    #expect(older.configuration.modules.edged.tailoredKubeletConfig.imageServiceEndpoint == docker)
    #expect(older.tree.unknownKeys.isEmpty)
    let both = try loader(
      "modules: {edged: {tailoredKubeletConfig: {containerRuntimeEndpoint: \(docker), imageServiceEndpoint: \"unix:///run/images.sock\"}}}"
    ).load()
    #expect(both.configuration.modules.edged.tailoredKubeletConfig.imageServiceEndpoint == "unix:///run/images.sock")
  }

  @Test func confDirectoryIsMergedInOrder() throws {
    directory.write("conf/10-base.yaml", "kind: EdgeCore\nmodules: {edged: {nodeIP: 10.0.0.1, rootDirectory: /base}}\n")
    directory.write("conf/deep/20-more.yml", "kind: Pod\nmetadata: {name: x}\n---\nkind: EdgeCore\nmodules: {edged: {nodeIP: 10.0.0.2}}\n")
    directory.write("conf/30-pod.yaml", "kind: Pod\nmodules: 7\n")
    directory.write("conf/40-old.yaml", "mqtt.qos: 2\n")
    directory.write("conf/50-no.txt", "kind: EdgeCore\nmodules: 7\n")
    var loader = loader()
    loader.confDirectory = "\(directory.path)/conf"
    let loaded = try loader.load()
    #expect(loaded.configuration.modules.edged.nodeIP == "10.0.0.2")
    #expect(loaded.configuration.modules.edged.rootDirectory == "/base")
    #expect(loaded.configuration.modules.eventBus.mqttQOS == 2)
    #expect(
      loaded.files.map { $0.dropFirst(directory.path.count) } == ["/conf/10-base.yaml", "/conf/40-old.yaml", "/conf/deep/20-more.yml"])
    // The default file stands in place of the whole directory.
    loader.defaultFile = directory.write("default.yaml", "modules: {edged: {nodeIP: 10.0.0.9}}\n")
    #expect(try loader.load().configuration.modules.edged.nodeIP == "10.0.0.9")
  }

  @Test func badSettings() {
    for setting in ["modules.edged.nodeIP", "=x"] {
      var loader = loader()
      loader.settings = [setting]
      #expect(throws: ConfigurationError.self) { try loader.load() }
    }
    var loader = loader()
    loader.settings = ["modules.edged.tailoredKubeletConfig.maxPods=x"]
    let error = #expect(throws: ConfigurationError.self) { try loader.load() }
    #expect(error?.description.hasSuffix("(from --set modules.edged.tailoredKubeletConfig.maxPods)") == true)
  }

  @Test(arguments: [
    ("token", true), ("mqttPassword", true), ("clientSecret", true), ("tlsPrivateKeyFile", false), ("tokenFile", false), ("nodeIP", false),
  ])
  func secretKeys(key: String, isSecret: Bool) {
    #expect(SecretKeys.isSecret(key) == isSecret)
  }
}

@Suite struct ConfigurationTextTests {
  @Test func defaultTextReadsBackAsTheDefaults() throws {
    let text = try ConfigurationText.defaultConfiguration()
    let document = try #require(try YAML.documents(text).first)
    #expect(try document.value.decode(EdgeCoreConfiguration.self) == EdgeCoreConfiguration())
    let minimal = try #require(try YAML.documents(try ConfigurationText.minimalConfiguration()).first).value
    #expect(minimal["modules"]?["edged"]?["tailoredKubeletConfig"]?["cgroupDriver"] == .string("cgroupfs"))
  }

  /// Every key is explained, on the line above it.
  @Test func everyKeyIsExplained() throws {
    let lines = try ConfigurationText.defaultConfiguration().split(separator: "\n", omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() where line.contains(":") && !line.contains("#") {
      let key = line.drop { $0 == " " }.prefix { $0 != ":" }
      // Data below a map is explained by the map.
      if ["apiVersion", "kind"].contains(key) || key.contains(".") { continue }
      #expect(lines[index - 1].drop { $0 == " " }.hasPrefix("# "), "\(line)")
    }
  }

  /// `edgecore --defaultconfig > conf/edgecore.yaml` makes it so.
  @Test func fileInConfIsTheDefaultText() throws {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let file = try #require(fopen("/\(root)/conf/edgecore.yaml", "r"))
    defer { fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    let count = fread(&bytes, 1, bytes.count, file)
    #expect(String(decoding: bytes[..<count], as: UTF8.self) == (try ConfigurationText.defaultConfiguration()))
  }
}

@Suite struct GoDurationTests {
  @Test(
    arguments: [
      ("0", 0, "0s"), ("0s", 0, "0s"), ("1m30s", 90_000_000_000, "1m30s"), ("2m", 120_000_000_000, "2m0s"),
      ("4h", 14_400_000_000_000, "4h0m0s"),
      ("100ms", 100_000_000, "100ms"), ("1.5s", 1_500_000_000, "1.5s"), (".5s", 500_000_000, "500ms"),
      ("-1.5h", -5_400_000_000_000, "-1h30m0s"),
      ("1us", 1000, "1µs"), ("1500ns", 1500, "1.5µs"), ("1h1ns", 3_600_000_000_001, "1h0m0.000000001s"), ("+3s", 3_000_000_000, "3s"),
      ("1.s", 1_000_000_000, "1s"), ("99ns", 99, "99ns"),
    ] as [(String, Int64, String)])
  func parsesAndWrites(text: String, nanoseconds: Int64, written: String) throws {
    let duration = try #require(GoDuration(text))
    #expect(duration.nanoseconds == nanoseconds)
    #expect(duration.description == written)
    #expect(GoDuration(written) == duration)
  }

  @Test(arguments: ["", "1", "s", "1 s", "1d", "1m 30s", "--1s", ".s", "1s2", "99999999999999999999s", "9999999h", "1e3s"])
  func refuses(text: String) {
    #expect(GoDuration(text) == nil)
  }
}
