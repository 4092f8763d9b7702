import Glibc
import Logging

/// Sets up logging for the whole process.
public enum LogSystem {
  /// The levels of the process's loggers.
  public static let levels = LogLevels()

  /// Makes every `Logger` write lines to a descriptor. To be called once, before the first logger is made.
  public static func bootstrap(_ configuration: LoggingConfiguration, descriptor: Int32 = STDERR_FILENO) {
    apply(configuration)
    let format = configuration.format
    LoggingSystem.bootstrap(
      { label, provider in
        var handler = LineLogHandler(label: label, format: format, levels: levels, descriptor: descriptor)
        handler.metadataProvider = provider
        return handler
      }, metadataProvider: nil)
  }

  /// Takes over the levels of a configuration, also later on.
  public static func apply(_ configuration: LoggingConfiguration) {
    levels.standard = Logger.Level(rawValue: configuration.level) ?? .info
    for module in levels.levels.keys where configuration.levels[module] == nil { levels.set(nil, for: module) }
    for (module, level) in configuration.levels { levels.set(Logger.Level(rawValue: level), for: module) }
  }
}
