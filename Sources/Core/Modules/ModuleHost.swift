import Logging
import ServiceLifecycle

/// Runs all modules: starts them in their order, stops them in the reverse one.
public struct ModuleHost: Sendable {
  public struct Configuration: Sendable {
    /// How long each module may take to end before it is cancelled.
    public var shutdownTimeout: Duration
    /// Whether a failed module is started again; otherwise its failure stops the agent.
    public var restarts: Bool
    /// Delays between restarts.
    public var backoff: Backoff
    /// A module that ran for this long counts as healthy: the delays begin anew.
    public var healthyAfter: Duration

    public init(
      shutdownTimeout: Duration = .seconds(10), restarts: Bool = true,
      backoff: Backoff = Backoff(initial: .seconds(1), maximum: .seconds(60)), healthyAfter: Duration = .seconds(60)
    ) {
      self.shutdownTimeout = shutdownTimeout
      self.restarts = restarts
      self.backoff = backoff
      self.healthyAfter = healthyAfter
    }

    public init(_ configuration: EdgeCoreConfiguration) {
      self.init(shutdownTimeout: configuration.shutdownTimeout.duration, restarts: configuration.restartsModules)
    }
  }

  /// Keeps the group alive, also when no module is enabled.
  private struct Idle: Service {
    func run() async throws { try? await gracefulShutdown() }
  }

  private let registry: ModuleRegistry
  private let channel: ChannelContext
  private let configuration: Configuration
  private let logger: Logger

  public init(registry: ModuleRegistry, channel: ChannelContext, configuration: Configuration = .init(), logger: Logger) {
    self.registry = registry
    self.channel = channel
    self.configuration = configuration
    self.logger = logger
  }

  /// Runs until a signal comes, and then until every module has stopped. A second signal takes the time to stop away.
  ///
  /// - Parameter signals: numbers of the signals that came, as from `ShutdownSignals`.
  /// - Throws: `ModuleFailure` if a module failed that is not restarted; `ChannelError.alreadyRegistered`.
  public func run(signals: some AsyncSequence<Int32, Never> & Sendable) async throws {
    for status in registry.statuses where status.state == .disabled {
      logger.info("module is disabled", metadata: ["module": "\(status.name)", "reason": "\(status.reason ?? "")"])
    }
    let modules = registry.modules
    for module in modules { try channel.register(module.name, group: module.group) }
    let stopping = OneTimeEvent()
    let hurry = OneTimeEvent()
    let group = ServiceGroup(configuration: services(modules, hurry))
    try await withThrowingTaskGroup(of: Void.self) { tasks in
      tasks.addTask {
        var count = 0
        for await signal in signals {
          count += 1
          if count == 1 {
            logger.notice("signal received, the agent stops", metadata: ["signal": "\(ShutdownSignals.name(of: signal))"])
            stopping.happen()
            await group.triggerGracefulShutdown()
          } else {
            logger.warning("another signal received, modules are cancelled", metadata: ["signal": "\(ShutdownSignals.name(of: signal))"])
            hurry.happen()
          }
        }
        // The end of the signals says nothing about the modules.
        try await gracefulShutdown()
      }
      defer { tasks.cancelAll() }
      do {
        try await group.run()
      } catch let failure as ModuleFailure where stopping.hasHappened {
        // It failed because others have gone before it; the agent was asked to stop, and has.
        logger.warning("\(failure)")
      }
    }
  }

  private func services(_ modules: [any Module], _ hurry: OneTimeEvent) -> ServiceGroupConfiguration {
    var services: [ServiceGroupConfiguration.ServiceConfiguration] = [.init(service: Idle(), serviceName: "idle")]
    for module in modules {
      let supervised = SupervisedModule(
        module: module, registry: registry, channel: channel, logger: logger, restarts: configuration.restarts,
        limit: configuration.shutdownTimeout, hurry: hurry, backoff: configuration.backoff, healthyAfter: configuration.healthyAfter)
      services.append(
        .init(
          service: supervised, successTerminationBehavior: .ignore, failureTerminationBehavior: .gracefullyShutdownGroup,
          serviceName: module.name.rawValue))
    }
    // Signals are received by a thread of ours, see `ShutdownSignals`.
    return ServiceGroupConfiguration(services: services, logger: logger)
  }
}
