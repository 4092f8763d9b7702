/// A container's part of the host, in requests and, with the same names, in `GET /containers/<id>/json`.
struct DockerHostConfig: Codable, Hashable, Sendable {
  struct LogConfig: Codable, Hashable, Sendable {
    var type: String
    var config: [String: String]?
    enum CodingKeys: String, CodingKey {
      case type = "Type"
      case config = "Config"
    }
  }

  struct PortBinding: Codable, Hashable, Sendable {
    var hostIP: String
    var hostPort: String
    enum CodingKeys: String, CodingKey {
      case hostIP = "HostIp"
      case hostPort = "HostPort"
    }
  }

  struct Device: Codable, Hashable, Sendable {
    var hostPath: String
    var containerPath: String
    var permissions: String
    enum CodingKeys: String, CodingKey {
      case hostPath = "PathOnHost"
      case containerPath = "PathInContainer"
      case permissions = "CgroupPermissions"
    }
  }

  struct Mount: Codable, Hashable, Sendable {
    struct BindOptions: Codable, Hashable, Sendable {
      var propagation: String
      enum CodingKeys: String, CodingKey { case propagation = "Propagation" }
    }
    var type: String
    var source: String?
    var target: String?
    var readOnly: Bool?
    var bindOptions: BindOptions?
    enum CodingKeys: String, CodingKey {
      case type = "Type"
      case source = "Source"
      case target = "Target"
      case readOnly = "ReadOnly"
      case bindOptions = "BindOptions"
    }
  }

  var networkMode: String?
  var pidMode: String?
  var ipcMode: String?
  var utsMode: String?
  /// `source:target[:options]`; a source that doesn't exist becomes a folder.
  var binds: [String]?
  /// For paths with a colon, which a bind's text can't hold. The source has to exist.
  var mounts: [Mount]?
  var portBindings: [String: [PortBinding]]?
  var addedCapabilities: [String]?
  var droppedCapabilities: [String]?
  var securityOptions: [String]?
  var privileged: Bool?
  var readonlyRootfs: Bool?
  var addedGroups: [String]?
  var sysctls: [String: String]?
  var cgroupParent: String?
  var oomScoreAdj: Int64?
  var logConfig: LogConfig?
  var devices: [Device]?
  var runtime: String?
  /// nil: the engine's own list; empty: nothing is masked.
  var maskedPaths: [String]?
  var readonlyPaths: [String]?
  var resources = DockerResources()

  enum CodingKeys: String, CodingKey {
    case networkMode = "NetworkMode"
    case pidMode = "PidMode"
    case ipcMode = "IpcMode"
    case utsMode = "UTSMode"
    case binds = "Binds"
    case mounts = "Mounts"
    case portBindings = "PortBindings"
    case addedCapabilities = "CapAdd"
    case droppedCapabilities = "CapDrop"
    case securityOptions = "SecurityOpt"
    case privileged = "Privileged"
    case readonlyRootfs = "ReadonlyRootfs"
    case addedGroups = "GroupAdd"
    case sysctls = "Sysctls"
    case cgroupParent = "CgroupParent"
    case oomScoreAdj = "OomScoreAdj"
    case logConfig = "LogConfig"
    case devices = "Devices"
    case runtime = "Runtime"
    case maskedPaths = "MaskedPaths"
    case readonlyPaths = "ReadonlyPaths"
  }

  init() {}

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    networkMode = try values.decodeIfPresent(String.self, forKey: .networkMode)
    pidMode = try values.decodeIfPresent(String.self, forKey: .pidMode)
    ipcMode = try values.decodeIfPresent(String.self, forKey: .ipcMode)
    oomScoreAdj = try values.decodeIfPresent(Int64.self, forKey: .oomScoreAdj)
    runtime = try values.decodeIfPresent(String.self, forKey: .runtime)
    resources = try DockerResources(from: decoder)
  }

  func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(networkMode, forKey: .networkMode)
    try values.encodeIfPresent(pidMode, forKey: .pidMode)
    try values.encodeIfPresent(ipcMode, forKey: .ipcMode)
    try values.encodeIfPresent(utsMode, forKey: .utsMode)
    try values.encodeIfPresent(binds, forKey: .binds)
    try values.encodeIfPresent(mounts, forKey: .mounts)
    try values.encodeIfPresent(portBindings, forKey: .portBindings)
    try values.encodeIfPresent(addedCapabilities, forKey: .addedCapabilities)
    try values.encodeIfPresent(droppedCapabilities, forKey: .droppedCapabilities)
    try values.encodeIfPresent(securityOptions, forKey: .securityOptions)
    try values.encodeIfPresent(privileged, forKey: .privileged)
    try values.encodeIfPresent(readonlyRootfs, forKey: .readonlyRootfs)
    try values.encodeIfPresent(addedGroups, forKey: .addedGroups)
    try values.encodeIfPresent(sysctls, forKey: .sysctls)
    try values.encodeIfPresent(cgroupParent, forKey: .cgroupParent)
    try values.encodeIfPresent(oomScoreAdj, forKey: .oomScoreAdj)
    try values.encodeIfPresent(logConfig, forKey: .logConfig)
    try values.encodeIfPresent(devices, forKey: .devices)
    try values.encodeIfPresent(runtime, forKey: .runtime)
    try values.encodeIfPresent(maskedPaths, forKey: .maskedPaths)
    try values.encodeIfPresent(readonlyPaths, forKey: .readonlyPaths)
    try resources.encode(to: encoder)
  }
}

/// Limits of a container: part of its host configuration, and the body of `POST /containers/<id>/update`. nil: none, or unchanged.
struct DockerResources: Codable, Hashable, Sendable {
  var cpuShares: Int64?
  var cpuPeriod: Int64?
  var cpuQuota: Int64?
  var cpusetCPUs: String?
  var cpusetMemories: String?
  var memory: Int64?
  /// Memory and swap together.
  var memorySwap: Int64?
  var pidsLimit: Int64?

  enum CodingKeys: String, CodingKey {
    case cpuShares = "CpuShares"
    case cpuPeriod = "CpuPeriod"
    case cpuQuota = "CpuQuota"
    case cpusetCPUs = "CpusetCpus"
    case cpusetMemories = "CpusetMems"
    case memory = "Memory"
    case memorySwap = "MemorySwap"
    case pidsLimit = "PidsLimit"
  }

  init() {}

  /// Without a swap limit there is no swap: the sum equals the memory limit.
  init(_ resources: CRILinuxContainerResources) {
    if resources.cpuShares != 0 { cpuShares = resources.cpuShares }
    if resources.cpuPeriod != 0 { cpuPeriod = resources.cpuPeriod }
    if resources.cpuQuota != 0 { cpuQuota = resources.cpuQuota }
    if !resources.cpusetCpus.isEmpty { cpusetCPUs = resources.cpusetCpus }
    if !resources.cpusetMems.isEmpty { cpusetMemories = resources.cpusetMems }
    if resources.memoryLimitInBytes > 0 {
      memory = resources.memoryLimitInBytes
      memorySwap = resources.memorySwapLimitInBytes != 0 ? resources.memorySwapLimitInBytes : memory
    }
    if let limit = resources.unified["pids.max"].flatMap({ Int64($0) }) { pidsLimit = limit }
  }

  var cri: CRILinuxContainerResources {
    .with {
      $0.cpuShares = cpuShares ?? 0
      $0.cpuPeriod = cpuPeriod ?? 0
      $0.cpuQuota = cpuQuota ?? 0
      $0.cpusetCpus = cpusetCPUs ?? ""
      $0.cpusetMems = cpusetMemories ?? ""
      $0.memoryLimitInBytes = memory ?? 0
      $0.memorySwapLimitInBytes = memorySwap ?? 0
    }
  }
}
