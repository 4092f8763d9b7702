import Logging
import ServiceLifecycle
import Synchronization

/// Runs a module: starts it again when it fails, ends it within a limit.
struct SupervisedModule: Service {
  let module: any Module
  let registry: ModuleRegistry
  let channel: ChannelContext
  let logger: Logger
  let restarts: Bool
  let limit: Duration
  /// When it happens, nothing gets time to end any more.
  let hurry: OneTimeEvent
  let backoff: Backoff
  /// A module that ran for this long counts as healthy: the delays begin anew.
  let healthyAfter: Duration

  /// How a module's run came to its end.
  private enum Ending: Sendable {
    case returned
    case threw(any Error)
    /// It did not end although it was cancelled; it is left to itself.
    case abandoned
  }

  func run() async throws {
    defer { channel.unregister(module.name) }
    var backoff = backoff
    while true {
      let began = ContinuousClock.now
      registry.update(module.name, .running)
      logger.info("module runs", metadata: ["module": "\(module.name)"])
      let ending = await runOnce()
      if Task.isShuttingDownGracefully || Task.isCancelled { return noteEnd(ending) }
      let failure =
        switch ending {
        case .threw(let error): "\(error)"
        default: "it ended although nobody asked it to"
        }
      guard restarts else {
        registry.update(module.name, .failed, error: failure)
        logger.error("module failed, the agent stops", metadata: ["module": "\(module.name)", "error": "\(failure)"])
        throw ModuleFailure(module: module.name, problem: failure)
      }
      // Others must not wait for a module that may never run.
      channel.leaveUnattended(module.name)
      if ContinuousClock.now - began >= healthyAfter { backoff.reset() }
      let delay = backoff.next()
      registry.update(module.name, .restarting, error: failure)
      logger.error(
        "module failed and is started again", metadata: ["module": "\(module.name)", "error": "\(failure)", "in": "\(delay)"])
      do {
        try await cancelWhenGracefulShutdown { try await Task.sleep(for: delay) }
      } catch {
        registry.update(module.name, .stopped)
        return
      }
    }
  }

  private func noteEnd(_ ending: Ending) {
    switch ending {
    case .returned:
      registry.update(module.name, .stopped)
      logger.info("module stopped", metadata: ["module": "\(module.name)"])
    case .threw(is CancellationError):
      registry.update(module.name, .stopped)
      logger.info("module was cancelled", metadata: ["module": "\(module.name)"])
    case .threw(let error):
      registry.update(module.name, .failed, error: "\(error)")
      logger.error("module failed while it stopped", metadata: ["module": "\(module.name)", "error": "\(error)"])
    case .abandoned:
      registry.update(module.name, .failed, error: "it did not end in time")
      logger.error("module did not end in time and is left to itself", metadata: ["module": "\(module.name)"])
    }
  }

  private func runOnce() async -> Ending {
    let (endings, continuation) = AsyncStream.makeStream(of: Ending.self)
    // A task of its own, so that one that can't be cancelled doesn't hold up the others for ever.
    let work = Task {
      do {
        try await module.run()
        continuation.yield(.returned)
      } catch {
        continuation.yield(.threw(error))
      }
    }
    let watch = Task {
      try await gracefulShutdown()
      await hurry.wait(atMost: limit)
      try Task.checkCancellation()
      if !hurry.hasHappened {
        logger.warning("module takes too long to stop and is cancelled", metadata: ["module": "\(module.name)", "after": "\(limit)"])
      }
      work.cancel()
      try await Task.sleep(for: hurry.hasHappened ? .seconds(1) : min(limit, .seconds(5)))
      continuation.yield(.abandoned)
    }
    // Cancelling this must reach the module, while its ending is still waited for.
    let ending = await withTaskCancellationHandler {
      await Task { await endings.first { _ in true } }.value ?? .returned
    } onCancel: {
      work.cancel()
    }
    watch.cancel()
    continuation.finish()
    return ending
  }
}

/// A module failed and took the agent with it.
public struct ModuleFailure: Error, Sendable, CustomStringConvertible {
  public var module: ModuleName
  public var problem: String
  public var description: String { "the module \"\(module)\" failed: \(problem)" }
}
