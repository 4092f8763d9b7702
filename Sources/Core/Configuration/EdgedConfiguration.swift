/// `modules.edged`: the node and its pods. Flag-like keys sit here, the rest in `tailoredKubeletConfig`.
public struct EdgedConfiguration: Codable, Sendable, Hashable {
  public var enable = true
  public var reportEvent = false
  /// The node's name everywhere; a loaded configuration has the host's name here if none is given.
  public var hostnameOverride = ""
  public var nodeIP = ""
  public var customInterfaceName = ""
  public var registerNodeNamespace = "default"
  public var nodeLabels: [String: String] = [:]
  public var registerSchedulable = true
  public var rootDirectory = "/var/lib/kubelet"
  public var podSandboxImage = "kubeedge/pause:3.6"
  public var runtimeCgroups = ""
  public var minimumGCAge = GoDuration.zero
  /// Negative: no limit.
  public var maxPerPodContainerCount: Int32 = 1
  /// Negative: no limit.
  public var maxContainerCount: Int32 = -1
  public var seccompDefault = false
  /// Where links to the containers' logs are kept.
  public var containerLogsDir = "/var/log/containers"
  public var tailoredKubeletConfig = KubeletConfiguration()
  public init() {}

  /// Whether containers without a seccomp profile get the engine's default one.
  public var usesSeccompDefault: Bool { seccompDefault || tailoredKubeletConfig.seccompDefault }
}

/// `modules.edged.tailoredKubeletConfig`: keys and meanings of kubelet's configuration, defaults of KubeEdge.
public struct KubeletConfiguration: Codable, Sendable, Hashable {
  public enum CgroupDriver: String, Codable, Sendable, Hashable, CaseIterable { case cgroupfs, systemd }
  public enum ChangeDetection: String, Codable, Sendable, Hashable, CaseIterable {
    case get = "Get"
    case cache = "Cache"
    case watch = "Watch"
  }
  /// A taint that the node registers with.
  public struct RegisteredTaint: Codable, Sendable, Hashable {
    public enum Effect: String, Codable, Sendable, Hashable, CaseIterable {
      case noSchedule = "NoSchedule"
      case preferNoSchedule = "PreferNoSchedule"
      case noExecute = "NoExecute"
    }
    public var key: String
    public var value: String?
    public var effect: String
    public init(key: String, value: String? = nil, effect: Effect) {
      self.key = key
      self.value = value
      self.effect = effect.rawValue
    }
  }
  public struct CrashLoopBackOff: Codable, Sendable, Hashable {
    public var maxContainerRestartPeriod = GoDuration.minutes(5)
    public init() {}
  }
  /// Who may ask for the node's API from other hosts.
  public struct Authentication: Codable, Sendable, Hashable {
    public struct X509: Codable, Sendable, Hashable {
      /// Empty: nobody.
      public var clientCAFile = ""
      public init() {}
    }
    public var x509 = X509()
    public init() {}
  }

  // Engine and images.
  public var containerRuntimeEndpoint = "unix:///run/containerd/containerd.sock"
  /// Empty: `containerRuntimeEndpoint`, which a loaded configuration has here.
  public var imageServiceEndpoint = ""
  public var runtimeRequestTimeout = GoDuration.minutes(2)
  public var registryPullQPS: Int32 = 5
  public var registryBurst: Int32 = 10
  public var serializeImagePulls = true
  /// 0: not limited, except by `serializeImagePulls`.
  public var maxParallelImagePulls: Int32 = 0
  public var imageMinimumGCAge = GoDuration.minutes(2)
  /// 0: images don't age.
  public var imageMaximumGCAge = GoDuration.zero
  public var imageGCHighThresholdPercent: Int32 = 85
  public var imageGCLowThresholdPercent: Int32 = 80

  // Pods and their sources.
  public var staticPodPath = "/etc/kubeedge/manifests"
  public var podLogsDir = "/var/log/pods"
  public var syncFrequency = GoDuration.minutes(1)
  public var fileCheckFrequency = GoDuration.seconds(20)
  public var maxPods: Int32 = 110
  public var podsPerCore: Int32 = 0
  /// -1: the host's limit.
  public var podPidsLimit: Int64 = -1
  public var clusterDomain = "cluster.local"
  public var clusterDNS: [String] = []
  public var resolvConf = "/etc/resolv.conf"
  public var configMapAndSecretChangeDetectionStrategy = ChangeDetection.get
  public var crashLoopBackOff = CrashLoopBackOff()
  public var containerLogMaxSize = "10Mi"
  public var containerLogMaxFiles: Int32 = 5
  public var containerLogMaxWorkers: Int32 = 1
  public var containerLogMonitorInterval = GoDuration.seconds(10)
  public var allowedUnsafeSysctls: [String] = []
  public var seccompDefault = false
  public var volumeStatsAggPeriod = GoDuration.minutes(1)
  public var localStorageCapacityIsolation = true

  // Resources of the node.
  public var cgroupDriver = CgroupDriver.cgroupfs
  public var cgroupsPerQOS = true
  public var cgroupRoot = ""
  public var cpuCFSQuota = true
  public var cpuCFSQuotaPeriod = GoDuration.milliseconds(100)
  public var singleProcessOOMKill = false
  public var failSwapOn = false
  public var failCgroupV1 = false
  public var oomScoreAdj: Int32 = -999
  public var systemReserved: [String: String] = [:]
  public var kubeReserved: [String: String] = [:]
  public var enforceNodeAllocatable = ["pods"]
  public var evictionHard = [
    "memory.available": "100Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%", "imagefs.available": "15%",
    "imagefs.inodesFree": "5%",
  ]
  public var evictionSoft: [String: String] = [:]
  public var evictionSoftGracePeriod: [String: GoDuration] = [:]
  public var evictionMinimumReclaim: [String: String] = [:]
  /// Seconds.
  public var evictionMaxPodGracePeriod: Int32 = 0
  public var evictionPressureTransitionPeriod = GoDuration.minutes(5)

  // The node towards the cloud and towards people.
  public var registerNode = true
  public var registerWithTaints: [RegisteredTaint] = []
  public var nodeStatusUpdateFrequency = GoDuration.seconds(10)
  public var nodeStatusReportFrequency = GoDuration.minutes(5)
  public var nodeStatusMaxImages: Int32 = 0
  public var nodeLeaseDurationSeconds: Int32 = 40
  public var eventRecordQPS: Int32 = 50
  public var eventBurst: Int32 = 100
  public var address = "127.0.0.1"
  public var readOnlyPort: Int32 = 10350
  public var tlsCertFile = ""
  public var tlsPrivateKeyFile = ""
  public var authentication = Authentication()
  public var enableDebuggingHandlers = true
  public var streamingConnectionIdleTimeout = GoDuration.hours(4)
  public var shutdownGracePeriod = GoDuration.zero
  public var shutdownGracePeriodCriticalPods = GoDuration.zero
  public init() {}
}
