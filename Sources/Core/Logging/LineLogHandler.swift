import Glibc
import Logging
import YAML

/// Writes each message as one line, as text or as JSON, with one write.
///
/// Text: `2026-03-01T12:00:00.123Z INFO  edged: message key=value`. Values of metadata whose keys name secrets are masked.
public struct LineLogHandler: LogHandler {
  public typealias Format = LoggingConfiguration.Format

  public var metadata: Logger.Metadata = [:]
  public var metadataProvider: Logger.MetadataProvider?
  private let label: String
  private let format: Format
  private let descriptor: Int32
  private let cell: LogLevels.Cell
  private var ownLevel: Logger.Level?

  /// - Parameter descriptor: an open file descriptor; it is not closed.
  public init(label: String, format: Format, levels: LogLevels, descriptor: Int32 = STDERR_FILENO) {
    self.label = label
    self.format = format
    self.descriptor = descriptor
    cell = levels.cell(for: label)
  }

  /// The module's level, unless this logger has got one of its own.
  public var logLevel: Logger.Level {
    get { ownLevel ?? cell.level }
    set { ownLevel = newValue }
  }

  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  public func log(event: LogEvent) {
    var all = metadata
    if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
    if let own = event.metadata { all.merge(own) { _, new in new } }
    if let error = event.error, all["error"] == nil { all["error"] = "\(error)" }
    var line = format == .text ? text(event, all) : json(event, all)
    line.append(0x0A)
    Self.write(line, to: descriptor)
  }

  private func text(_ event: LogEvent, _ metadata: Logger.Metadata) -> [UInt8] {
    var line = "\(Self.now()) \(Self.name(event.level)) \(label): \(Self.oneLine(event.message.description))"
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      line += " \(Self.oneLine(key))=\(Self.quoted(SecretKeys.isSecret(key) ? "********" : value.description))"
    }
    return Array(line.utf8)
  }

  private func json(_ event: LogEvent, _ metadata: Logger.Metadata) -> [UInt8] {
    var members: [JSONValue.Member] = [
      .init("time", .string(Self.now())), .init("level", .string(event.level.rawValue)), .init("logger", .string(label)),
      .init("message", .string(event.message.description)),
    ]
    for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
      let name = ["time", "level", "logger", "message"].contains(key) ? "\(key)_" : key
      members.append(.init(name, SecretKeys.isSecret(key) ? .string("********") : Self.value(value)))
    }
    return JSONValue.object(members).jsonBytes()
  }

  private static func value(_ value: Logger.MetadataValue) -> JSONValue {
    switch value {
    case .string(let text): .string(text)
    case .stringConvertible(let object): .string(object.description)
    case .array(let items): .array(items.map(Self.value))
    case .dictionary(let members):
      .object(
        members.sorted { $0.key < $1.key }.map { .init($0.key, SecretKeys.isSecret($0.key) ? .string("********") : Self.value($0.value)) })
    }
  }

  private static func name(_ level: Logger.Level) -> String {
    switch level {
    case .trace: "TRACE"
    case .debug: "DEBUG"
    case .info: "INFO "
    case .notice: "NOTE "
    case .warning: "WARN "
    case .error: "ERROR"
    case .critical: "CRIT "
    }
  }

  /// Control characters would break the line, or forge another one.
  private static func oneLine(_ text: String) -> String {
    guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else { return text }
    var line = ""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": line += "\\n"
      case "\r": line += "\\r"
      case "\t": line += "\\t"
      case "\0"..."\u{1F}", "\u{7F}": line += "\\x" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
      default: line.unicodeScalars.append(scalar)
      }
    }
    return line
  }

  private static func quoted(_ text: String) -> String {
    let isPlain = !text.isEmpty && !text.utf8.contains { $0 <= 0x20 || $0 == 0x22 || $0 == 0x3D || $0 == 0x7F }
    return isPlain ? text : JSONValue.string(text).jsonText()
  }

  /// The time in UTC with milliseconds.
  private static func now() -> String {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    var parts = tm()
    gmtime_r(&time.tv_sec, &parts)
    func padded(_ number: Int, _ width: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
    }
    let date = "\(padded(Int(parts.tm_year) + 1900, 4))-\(padded(Int(parts.tm_mon) + 1, 2))-\(padded(Int(parts.tm_mday), 2))"
    let clock = "\(padded(Int(parts.tm_hour), 2)):\(padded(Int(parts.tm_min), 2)):\(padded(Int(parts.tm_sec), 2))"
    return "\(date)T\(clock).\(padded(time.tv_nsec / 1_000_000, 3))Z"
  }

  private static func write(_ line: [UInt8], to descriptor: Int32) {
    line.withUnsafeBytes { bytes in
      var written = 0
      while written < bytes.count {
        let count = Glibc.write(descriptor, bytes.baseAddress?.advanced(by: written), bytes.count - written)
        if count > 0 {
          written += count
        } else if errno != EINTR {
          return  // Nowhere left to complain.
        }
      }
    }
  }
}
