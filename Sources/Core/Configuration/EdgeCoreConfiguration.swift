/// The agent's configuration: KubeEdge's `edgecore.yaml` (v1alpha2), as far as the agent acts on it, and a few keys of its own.
///
/// `EdgeCoreConfiguration()` holds the defaults. Every key is always present, so that what is missing in a file reads as its default.
public struct EdgeCoreConfiguration: Codable, Sendable, Hashable {
  public static let apiVersion = "edgecore.config.kubeedge.io/v1alpha2"
  public static let kind = "EdgeCore"

  public var apiVersion = Self.apiVersion
  public var kind = Self.kind
  public var database = Database()
  public var featureGates = FeatureGates()
  public var modules = Modules()
  public var logging = LoggingConfiguration()
  /// Path of the Unix socket that `edgectl` talks to.
  public var apiSocket = "/run/edgecore/edgecore.sock"
  /// How long each module may take to end before it is cancelled.
  public var shutdownTimeout = GoDuration.seconds(10)
  /// What happens when a module fails.
  public var moduleFailure = ModuleFailure.restart
  public init() {}

  public struct Database: Codable, Sendable, Hashable {
    public var driverName = "sqlite3"
    public var aliasName = "default"
    /// Path of the database file.
    public var dataSource = "/var/lib/kubeedge/edgecore.db"
    public init() {}
  }

  public struct FeatureGates: Codable, Sendable, Hashable {
    public var requireAuthorization = false
    /// Restarts a module that failed, whatever `moduleFailure` says.
    public var moduleRestart = false
    public var disableNodeTaskV1alpha2 = false
    public init() {}
  }

  public struct Modules: Codable, Sendable, Hashable {
    public var edged = EdgedConfiguration()
    public var edgeHub = EdgeHubConfiguration()
    public var metaManager = MetaManagerConfiguration()
    public var edgeStream = EdgeStreamConfiguration()
    public var eventBus = EventBusConfiguration()
    public var deviceTwin = DeviceTwinConfiguration()
    public var serviceBus = ServiceBusConfiguration()
    public var dbTest = DBTestConfiguration()
    public init() {}
  }

  /// Whether a failed module is started again or takes the process with it.
  public enum ModuleFailure: String, Codable, Sendable, Hashable, CaseIterable { case restart, stop }

  /// Whether a module that failed is started again.
  public var restartsModules: Bool { featureGates.moduleRestart || moduleFailure == .restart }
}

/// How the agent logs.
public struct LoggingConfiguration: Codable, Sendable, Hashable {
  public enum Format: String, Codable, Sendable, Hashable, CaseIterable { case text, json }

  public var format = Format.text
  /// One of swift-log's levels: trace, debug, info, notice, warning, error, critical.
  public var level = "info"
  /// Levels of single modules, by module name.
  public var levels: [String: String] = [:]
  public init() {}
}
