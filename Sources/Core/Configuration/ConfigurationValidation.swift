import Glibc
import YAML

/// Checks the meaning of a configuration whose shape is right; collects every problem.
struct ConfigurationValidation {
  private let tree: ConfigurationTree
  private(set) var problems: [ConfigurationError.Problem] = []

  init(tree: ConfigurationTree) { self.tree = tree }

  private static let kubelet = "modules.edged.tailoredKubeletConfig"
  private static let levels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]
  private static let evictionSignals: Set<String> = [
    "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree", "containerfs.available",
    "containerfs.inodesFree", "pid.available", "allocatableMemory.available",
  ]

  /// Keys that take one of a few words.
  static let choices: [String: [String]] = [
    "moduleFailure": EdgeCoreConfiguration.ModuleFailure.allCases.map(\.rawValue),
    "logging.format": LoggingConfiguration.Format.allCases.map(\.rawValue),
    "logging.level": levels,
    "\(kubelet).cgroupDriver": KubeletConfiguration.CgroupDriver.allCases.map(\.rawValue),
    "\(kubelet).configMapAndSecretChangeDetectionStrategy": KubeletConfiguration.ChangeDetection.allCases.map(\.rawValue),
  ]

  mutating func check(_ configuration: EdgeCoreConfiguration) {
    expect(
      configuration.apiVersion == EdgeCoreConfiguration.apiVersion, "apiVersion",
      "\(Self.quoted(configuration.apiVersion)) is not allowed; allowed: \(EdgeCoreConfiguration.apiVersion)")
    expect(
      configuration.kind == EdgeCoreConfiguration.kind, "kind",
      "\(Self.quoted(configuration.kind)) is not allowed; allowed: \(EdgeCoreConfiguration.kind)")
    expectAbsolute(configuration.apiSocket, "apiSocket")
    expect(configuration.apiSocket.utf8.count <= 107, "apiSocket", "a socket's path has at most 107 bytes")
    expect(configuration.shutdownTimeout > .zero, "shutdownTimeout", "\(configuration.shutdownTimeout) must be more than 0s")
    expect(!configuration.database.dataSource.isEmpty, "database.dataSource", "must not be empty")
    expectChoice(configuration.logging.level, "logging.level", Self.levels)
    for (module, level) in configuration.logging.levels.sorted(by: { $0.key < $1.key }) {
      expectChoice(level, "logging.levels", member: module, Self.levels)
    }
    check(configuration.modules.edged)
    check(configuration.modules.edged.tailoredKubeletConfig)
    check(configuration.modules.edgeHub)
    expectRange(configuration.modules.metaManager.remoteQueryTimeout, "modules.metaManager.remoteQueryTimeout", 1...3600)
    check(configuration.modules.edgeStream)
    check(configuration.modules.eventBus)
    check(configuration.modules.serviceBus)
  }

  private mutating func check(_ edged: EdgedConfiguration) {
    let prefix = "modules.edged"
    expect(
      Self.isSubdomain(edged.hostnameOverride), "\(prefix).hostnameOverride",
      "\(Self.quoted(edged.hostnameOverride)) is no node name: at most 253 lower case letters, digits, '-' and '.', "
        + "each part beginning and ending with a letter or digit")
    for address in edged.nodeIP.split(separator: ",") { expectAddress(String(address.trimmed), "\(prefix).nodeIP") }
    expectAbsolute(edged.rootDirectory, "\(prefix).rootDirectory")
    expectAbsolute(edged.containerLogsDir, "\(prefix).containerLogsDir")
    expect(!edged.podSandboxImage.isEmpty, "\(prefix).podSandboxImage", "must not be empty")
    expectNotNegative(edged.minimumGCAge, "\(prefix).minimumGCAge")
  }

  private mutating func check(_ kubelet: KubeletConfiguration) {
    let prefix = Self.kubelet
    expectEndpoint(kubelet.containerRuntimeEndpoint, "\(prefix).containerRuntimeEndpoint")
    expectEndpoint(kubelet.imageServiceEndpoint, "\(prefix).imageServiceEndpoint")
    for (key, duration) in [
      ("runtimeRequestTimeout", kubelet.runtimeRequestTimeout), ("imageMinimumGCAge", kubelet.imageMinimumGCAge),
      ("imageMaximumGCAge", kubelet.imageMaximumGCAge), ("syncFrequency", kubelet.syncFrequency),
      ("fileCheckFrequency", kubelet.fileCheckFrequency), ("containerLogMonitorInterval", kubelet.containerLogMonitorInterval),
      ("volumeStatsAggPeriod", kubelet.volumeStatsAggPeriod), ("nodeStatusUpdateFrequency", kubelet.nodeStatusUpdateFrequency),
      ("evictionPressureTransitionPeriod", kubelet.evictionPressureTransitionPeriod),
      ("nodeStatusReportFrequency", kubelet.nodeStatusReportFrequency),
      ("streamingConnectionIdleTimeout", kubelet.streamingConnectionIdleTimeout), ("shutdownGracePeriod", kubelet.shutdownGracePeriod),
      ("shutdownGracePeriodCriticalPods", kubelet.shutdownGracePeriodCriticalPods),
    ] { expectNotNegative(duration, "\(prefix).\(key)") }
    expect(
      kubelet.shutdownGracePeriodCriticalPods <= kubelet.shutdownGracePeriod, "\(prefix).shutdownGracePeriodCriticalPods",
      "\(kubelet.shutdownGracePeriodCriticalPods) must not exceed shutdownGracePeriod, \(kubelet.shutdownGracePeriod)")
    let restart = kubelet.crashLoopBackOff.maxContainerRestartPeriod
    expect(
      (GoDuration.seconds(1)...GoDuration.minutes(5)).contains(restart), "\(prefix).crashLoopBackOff.maxContainerRestartPeriod",
      "\(restart) is not allowed; allowed: 1s to 5m0s")
    let period = kubelet.cpuCFSQuotaPeriod
    expect(
      (GoDuration.milliseconds(1)...GoDuration.seconds(1)).contains(period), "\(prefix).cpuCFSQuotaPeriod",
      "\(period) is not allowed; allowed: 1ms to 1s")
    for (key, number, range) in [
      ("registryPullQPS", kubelet.registryPullQPS, 0...Int32.max), ("registryBurst", kubelet.registryBurst, 0...Int32.max),
      ("eventRecordQPS", kubelet.eventRecordQPS, 0...Int32.max), ("eventBurst", kubelet.eventBurst, 0...Int32.max),
      ("maxParallelImagePulls", kubelet.maxParallelImagePulls, 0...Int32.max),
      ("imageGCHighThresholdPercent", kubelet.imageGCHighThresholdPercent, 0...100),
      ("imageGCLowThresholdPercent", kubelet.imageGCLowThresholdPercent, 0...100), ("maxPods", kubelet.maxPods, 0...Int32.max),
      ("podsPerCore", kubelet.podsPerCore, 0...Int32.max), ("containerLogMaxFiles", kubelet.containerLogMaxFiles, 2...Int32.max),
      ("containerLogMaxWorkers", kubelet.containerLogMaxWorkers, 1...Int32.max), ("oomScoreAdj", kubelet.oomScoreAdj, -1000...1000),
      ("evictionMaxPodGracePeriod", kubelet.evictionMaxPodGracePeriod, 0...Int32.max),
      ("nodeStatusMaxImages", kubelet.nodeStatusMaxImages, -1...Int32.max),
      ("nodeLeaseDurationSeconds", kubelet.nodeLeaseDurationSeconds, 1...Int32.max), ("readOnlyPort", kubelet.readOnlyPort, 0...65535),
    ] { expectRange(number, "\(prefix).\(key)", range) }
    expect(
      kubelet.podPidsLimit >= -1, "\(prefix).podPidsLimit", "\(kubelet.podPidsLimit) is not allowed; allowed: -1 (the host's limit) or more"
    )
    expect(
      kubelet.imageGCLowThresholdPercent < kubelet.imageGCHighThresholdPercent, "\(prefix).imageGCLowThresholdPercent",
      "\(kubelet.imageGCLowThresholdPercent) must be below imageGCHighThresholdPercent, \(kubelet.imageGCHighThresholdPercent)")
    expect(
      !kubelet.serializeImagePulls || kubelet.maxParallelImagePulls <= 1, "\(prefix).maxParallelImagePulls",
      "\(kubelet.maxParallelImagePulls) needs serializeImagePulls: false")
    if !kubelet.staticPodPath.isEmpty { expectAbsolute(kubelet.staticPodPath, "\(prefix).staticPodPath") }
    expectAbsolute(kubelet.podLogsDir, "\(prefix).podLogsDir")
    if !kubelet.resolvConf.isEmpty { expectAbsolute(kubelet.resolvConf, "\(prefix).resolvConf") }
    if !kubelet.cgroupRoot.isEmpty { expectAbsolute(kubelet.cgroupRoot, "\(prefix).cgroupRoot") }
    expectAddress(kubelet.address, "\(prefix).address")
    let files = [
      ("tlsCertFile", kubelet.tlsCertFile), ("tlsPrivateKeyFile", kubelet.tlsPrivateKeyFile),
      ("authentication.x509.clientCAFile", kubelet.authentication.x509.clientCAFile),
    ]
    let missing = files.filter(\.1.isEmpty).map(\.0).joined(separator: " and ")
    for (key, file) in files where !file.isEmpty {
      expectAbsolute(file, "\(prefix).\(key)")
      expect(missing.isEmpty, "\(prefix).\(key)", "needs \(missing) too")
    }
    for server in kubelet.clusterDNS { expectAddress(server, "\(prefix).clusterDNS") }
    expect(
      Self.isQuantity(kubelet.containerLogMaxSize), "\(prefix).containerLogMaxSize",
      "\(Self.quoted(kubelet.containerLogMaxSize)) is no size, e.g. 10Mi")
    for (key, map) in [("systemReserved", kubelet.systemReserved), ("kubeReserved", kubelet.kubeReserved)] {
      for (resource, amount) in map.sorted(by: { $0.key < $1.key }) {
        expectChoice(resource, "\(prefix).\(key)", member: resource, ["cpu", "memory", "ephemeral-storage", "pid"])
        expect(Self.isQuantity(amount), "\(prefix).\(key)", member: resource, "\(Self.quoted(amount)) is no amount, e.g. 250m, 100Mi")
      }
    }
    for plugin in kubelet.enforceNodeAllocatable {
      expectChoice(plugin, "\(prefix).enforceNodeAllocatable", ["none", "pods", "system-reserved", "kube-reserved"])
    }
    checkTaints(kubelet)
    checkEviction(kubelet)
  }

  private mutating func checkTaints(_ kubelet: KubeletConfiguration) {
    let key = "\(Self.kubelet).registerWithTaints"
    var seen: Set<[String]> = []
    for taint in kubelet.registerWithTaints {
      expectChoice(taint.effect, key, KubeletConfiguration.RegisteredTaint.Effect.allCases.map(\.rawValue))
      expect(
        Self.isQualifiedName(taint.key), key,
        "\(Self.quoted(taint.key)) is no taint's key: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter "
          + "or digit; a domain and '/' may stand before it")
      expect(
        taint.value.map { $0.isEmpty || Self.isLabelName($0[...]) } ?? true, key,
        "\(Self.quoted(taint.value ?? "")) is no taint's value: at most 63 letters, digits, '-', '_' and '.'")
      expect(seen.insert([taint.key, taint.effect]).inserted, key, "\(Self.quoted(taint.key)) with \(taint.effect) is there twice")
    }
  }

  private mutating func checkEviction(_ kubelet: KubeletConfiguration) {
    let prefix = Self.kubelet
    for (key, map) in [
      ("evictionHard", kubelet.evictionHard), ("evictionSoft", kubelet.evictionSoft),
      ("evictionMinimumReclaim", kubelet.evictionMinimumReclaim),
    ] {
      for (signal, threshold) in map.sorted(by: { $0.key < $1.key }) {
        expectChoice(signal, "\(prefix).\(key)", member: signal, Self.evictionSignals.sorted())
        let isPercentage = threshold.last == "%" && Double(threshold.dropLast()).map { (0...100).contains($0) } ?? false
        expect(
          isPercentage || Self.isQuantity(threshold), "\(prefix).\(key)", member: signal,
          "\(Self.quoted(threshold)) is neither an amount (100Mi) nor a percentage from 0% to 100%")
      }
    }
    for signal in kubelet.evictionSoft.keys.sorted() {
      expect(
        kubelet.evictionSoftGracePeriod[signal] != nil, "\(prefix).evictionSoft", member: signal,
        "needs a grace period in evictionSoftGracePeriod")
    }
    for (signal, period) in kubelet.evictionSoftGracePeriod.sorted(by: { $0.key < $1.key }) {
      expect(period >= .zero, "\(prefix).evictionSoftGracePeriod", member: signal, "\(period) must not be negative")
    }
  }

  private mutating func check(_ hub: EdgeHubConfiguration) {
    let prefix = "modules.edgeHub"
    expectRange(hub.heartbeat, "\(prefix).heartbeat", 1...3600)
    expectRange(hub.messageQPS, "\(prefix).messageQPS", 0...Int32.max)
    expectRange(hub.messageBurst, "\(prefix).messageBurst", 0...Int32.max)
    expect(hub.messageQPS == 0 || hub.messageBurst > 0, "\(prefix).messageBurst", "0 with messageQPS \(hub.messageQPS) would send nothing")
    expectAbsolute(hub.tlsCaFile, "\(prefix).tlsCaFile")
    expectAbsolute(hub.tlsCertFile, "\(prefix).tlsCertFile")
    expectAbsolute(hub.tlsPrivateKeyFile, "\(prefix).tlsPrivateKeyFile")
    if !hub.bootstrapFile.isEmpty { expectAbsolute(hub.bootstrapFile, "\(prefix).bootstrapFile") }
    expect(
      hub.projectID.utf8.allSatisfy { Self.isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E } && !hub.projectID.isEmpty,
      "\(prefix).projectID", "must be letters, digits, '-', '_' and '.'")
    expect(
      hub.httpServer.hasPrefix("https://") && hub.httpServer.utf8.count > 8, "\(prefix).httpServer",
      "\(Self.quoted(hub.httpServer)) is no address; allowed: https:// with host and port, e.g. https://10.0.0.1:10002")
    guard hub.enable else { return }
    expect(
      hub.websocket.enable && !hub.quic.enable, "\(prefix).websocket.enable",
      "has to be true, and quic.enable false: there is no other transport")
    expect(
      Self.isHostAndPort(hub.websocket.server), "\(prefix).websocket.server",
      "\(Self.quoted(hub.websocket.server)) is no host and port, e.g. 10.0.0.1:10000")
    expectRange(hub.websocket.handshakeTimeout, "\(prefix).websocket.handshakeTimeout", 1...3600)
    expectRange(hub.websocket.writeDeadline, "\(prefix).websocket.writeDeadline", 1...3600)
  }

  private mutating func check(_ stream: EdgeStreamConfiguration) {
    let prefix = "modules.edgeStream"
    expectAbsolute(stream.tlsTunnelCAFile, "\(prefix).tlsTunnelCAFile")
    expectAbsolute(stream.tlsTunnelCertFile, "\(prefix).tlsTunnelCertFile")
    expectAbsolute(stream.tlsTunnelPrivateKeyFile, "\(prefix).tlsTunnelPrivateKeyFile")
    expectRange(stream.handshakeTimeout, "\(prefix).handshakeTimeout", 1...3600)
    expectRange(stream.writeDeadline, "\(prefix).writeDeadline", 1...3600)
    guard stream.enable else { return }
    expect(
      Self.isHostAndPort(stream.server), "\(prefix).server",
      "\(Self.quoted(stream.server)) is no host and port, e.g. 10.0.0.1:10004")
  }

  /// `host:port` or `[::1]:port`
  static func isHostAndPort(_ text: String) -> Bool {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else { return false }
    let host = text[..<colon]
    if host.first == "[" { return host.last == "]" && isAddress(String(host.dropFirst().dropLast())) }
    return !host.isEmpty && !host.contains(":") && !host.contains("/") && !host.contains(" ")
  }

  private mutating func check(_ bus: ServiceBusConfiguration) {
    let prefix = "modules.serviceBus"
    if bus.server != "localhost" { expectAddress(bus.server, "\(prefix).server") }
    expectRange(bus.port, "\(prefix).port", 1...65535)
    let files = [("tlsCertFile", bus.tlsCertFile), ("tlsPrivateKeyFile", bus.tlsPrivateKeyFile)]
    let missing = files.filter(\.1.isEmpty).map(\.0).joined()
    for (key, file) in files where !file.isEmpty {
      expectAbsolute(file, "\(prefix).\(key)")
      expect(missing.isEmpty, "\(prefix).\(key)", "needs \(missing) too")
    }
  }

  private mutating func check(_ bus: EventBusConfiguration) {
    let prefix = "modules.eventBus"
    expect(
      Self.isQuantity(bus.offlineQueue.maxSize), "\(prefix).offlineQueue.maxSize",
      "\(Self.quoted(bus.offlineQueue.maxSize)) is no size, e.g. 64Mi")
    expect(bus.offlineQueue.maxAge > .zero, "\(prefix).offlineQueue.maxAge", "\(bus.offlineQueue.maxAge) must be more than 0s")
    guard bus.enable else { return }
    if bus.mode.hasExternal, let address = address(bus.mqttServerExternal, "\(prefix).mqttServerExternal"), address.usesTLS,
      bus.eventBusTLS.enable
    {
      expectAbsolute(bus.eventBusTLS.tlsMqttCAFile, "\(prefix).eventBusTLS.tlsMqttCAFile")
      expectAbsolute(bus.eventBusTLS.tlsMqttCertFile, "\(prefix).eventBusTLS.tlsMqttCertFile")
      expectAbsolute(bus.eventBusTLS.tlsMqttPrivateKeyFile, "\(prefix).eventBusTLS.tlsMqttPrivateKeyFile")
    }
    if bus.mode.hasInternal { checkInternal(bus, prefix) }
  }

  private mutating func checkInternal(_ bus: EventBusConfiguration, _ prefix: String) {
    expect(
      (0...2).contains(bus.mqttQOS), "\(prefix).mqttQOS", "\(bus.mqttQOS) is not allowed; allowed: 0 to 2 (the key was mqtt.qos before)")
    expect(
      bus.mqttSessionQueueSize > 0 && bus.mqttSessionQueueSize <= Int(Int32.max), "\(prefix).mqttSessionQueueSize",
      "\(bus.mqttSessionQueueSize) is not allowed; allowed: 1 or more (the key was mqtt.session-queue-size before)")
    let broker = bus.internalBroker
    let isTLS = address(bus.mqttServerInternal, "\(prefix).mqttServerInternal")?.usesTLS ?? false
    for (key, file) in [
      ("passwordFile", broker.passwordFile), ("aclFile", broker.aclFile), ("tlsCertFile", broker.tlsCertFile),
      ("tlsPrivateKeyFile", broker.tlsPrivateKeyFile), ("tlsClientCAFile", broker.tlsClientCAFile),
    ] where !file.isEmpty {
      expectAbsolute(file, "\(prefix).internalBroker.\(key)")
      expect(!file.contains("\n"), "\(prefix).internalBroker.\(key)", "must be one line")
    }
    expect(!broker.executable.isEmpty, "\(prefix).internalBroker.executable", "must not be empty")
    expect(
      !isTLS || !broker.tlsCertFile.isEmpty && !broker.tlsPrivateKeyFile.isEmpty, "\(prefix).mqttServerInternal",
      "TLS needs internalBroker.tlsCertFile and tlsPrivateKeyFile")
  }

  private mutating func address(_ text: String, _ key: String) -> BrokerAddress? {
    do throws(BrokerAddressError) {
      return try BrokerAddress(text)
    } catch {
      expect(false, key, error.description)
      return nil
    }
  }
}

extension ConfigurationValidation {
  private static func quoted(_ text: String) -> String { "\"\(text)\"" }

  private mutating func expect(_ holds: Bool, _ key: String, member: String? = nil, _ problem: @autoclosure () -> String) {
    guard !holds else { return }
    var path: [PathComponent] = key.split(separator: ".").map { .key(String($0)) }
    if let member { path.append(.key(member)) }
    problems.append(.init(key: path.dotted, problem: problem(), source: tree.source(of: path)))
  }

  private mutating func expectChoice(_ value: String, _ key: String, member: String? = nil, _ allowed: [String]) {
    expect(allowed.contains(value), key, member: member, "\"\(value)\" is not allowed; allowed: \(allowed.joined(separator: ", "))")
  }

  private mutating func expectRange<T: FixedWidthInteger>(_ value: T, _ key: String, _ range: ClosedRange<T>) {
    let allowed = range.upperBound == T.max ? "\(range.lowerBound) or more" : "\(range.lowerBound) to \(range.upperBound)"
    expect(range.contains(value), key, "\(value) is not allowed; allowed: \(allowed)")
  }

  private mutating func expectNotNegative(_ duration: GoDuration, _ key: String) {
    expect(duration >= .zero, key, "\(duration) must not be negative")
  }

  private mutating func expectAbsolute(_ path: String, _ key: String) {
    expect(path.hasPrefix("/"), key, "\"\(path)\" must be an absolute path")
  }

  private mutating func expectEndpoint(_ endpoint: String, _ key: String) {
    expect(
      endpoint.hasPrefix("unix:///") && endpoint.utf8.count > 8, key,
      "\"\(endpoint)\" is no endpoint; allowed: unix:// and an absolute path, e.g. unix:///run/containerd/containerd.sock")
  }

  private mutating func expectAddress(_ address: String, _ key: String) {
    expect(Self.isAddress(address), key, "\"\(address)\" is no IP address")
  }

  static func isAddress(_ text: String) -> Bool {
    var four = in_addr()
    var six = in6_addr()
    return inet_pton(AF_INET, text, &four) == 1 || inet_pton(AF_INET6, text, &six) == 1
  }

  private static func isAlphanumeric(_ byte: UInt8) -> Bool {
    (0x61...0x7A).contains(byte) || (0x41...0x5A).contains(byte) || (0x30...0x39).contains(byte)
  }

  /// RFC 1123: parts of letters, digits and inner hyphens, joined by dots.
  static func isSubdomain(_ name: String) -> Bool {
    guard !name.isEmpty, name.utf8.count <= 253 else { return false }
    func isLowercase(_ byte: UInt8) -> Bool { isAlphanumeric(byte) && !(0x41...0x5A).contains(byte) }
    return name.utf8.split(separator: 0x2E, omittingEmptySubsequences: false).allSatisfy { part in
      guard let first = part.first, let last = part.last else { return false }
      return isLowercase(first) && isLowercase(last) && part.allSatisfy { isLowercase($0) || $0 == 0x2D }
    }
  }

  /// At most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit.
  private static func isLabelName(_ name: Substring) -> Bool {
    guard let first = name.utf8.first, let last = name.utf8.last, name.utf8.count <= 63 else { return false }
    return isAlphanumeric(first) && isAlphanumeric(last)
      && name.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
  }

  /// A label's or a taint's key: `dedicated`, `example.com/dedicated`.
  static func isQualifiedName(_ name: String) -> Bool {
    guard let slash = name.firstIndex(of: "/") else { return isLabelName(name[...]) }
    return isSubdomain(String(name[..<slash])) && isLabelName(name[name.index(after: slash)...])
  }

  /// A Kubernetes quantity that is not negative.
  static func isQuantity(_ text: String) -> Bool {
    let suffix = text.drop { $0.isASCII && $0.isWholeNumber || $0 == "." || $0 == "+" }
    let number = text.dropLast(suffix.count)
    guard number.contains(where: \.isWholeNumber), Double(number) != nil else { return false }
    if ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].contains(suffix) { return true }
    return (suffix.first == "e" || suffix.first == "E") && Int(suffix.dropFirst()) != nil
  }
}
