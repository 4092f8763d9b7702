import ServiceLifecycle

/// A part of the agent that runs on its own and talks to the others only through the channel context.
///
/// `run()` does the module's work until it is asked to end (`gracefulShutdown()` of ServiceLifecycle, or cancellation), cleans up and
/// returns. If it throws, or returns without having been asked, it has failed and may be run again on the same value. Its mailbox exists
/// before `run()` is called and is kept over restarts.
public protocol Module: Service {
  var name: ModuleName { get }
  var group: ModuleGroup { get }
}
