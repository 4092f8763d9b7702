import FoundationEssentials
import Glibc
import Subprocess

/// Commands that tests run.
enum Shell {
  struct Result: Sendable {
    var output: String
    var error: String
    var code: Int32
  }

  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// Runs a command to its end.
  static func run(_ executable: String, _ arguments: [String], environment: [String: String] = [:]) async throws -> Result {
    var variables = Environment.inherit
    for (name, value) in environment {
      variables = variables.updating([Environment.Key(stringLiteral: name): value])
    }
    let result = try await Subprocess.run(
      executable.hasPrefix("/") ? .path(.init(executable)) : .name(executable), arguments: Arguments(arguments), environment: variables,
      output: .string(limit: 16 << 20), error: .string(limit: 1 << 20))
    let code: Int32 =
      switch result.terminationStatus {
      case .exited(let code): code
      case .signaled(let signal): 128 + signal
      }
    return Result(output: result.standardOutput, error: result.standardError, code: code)
  }

  /// Runs a command that must succeed; returns what it printed.
  @discardableResult
  static func output(_ executable: String, _ arguments: [String], environment: [String: String] = [:]) async throws -> String {
    let result = try await run(executable, arguments, environment: environment)
    guard result.code == 0 else {
      throw Failure(description: "\(executable) \(arguments.joined(separator: " ")) ended with \(result.code): \(result.error)")
    }
    return result.output
  }

  /// The paths that `find` prints. What other tests remove while it looks is no failure.
  static func found(_ arguments: String...) async throws -> [String] { try await run("find", arguments).output.trimmingLines() }
}

/// Where things are in the checkout.
enum Checkout {
  /// The package's folder.
  static let root: String = #filePath.components(separatedBy: "/Tests/IntegrationTests/")[0]

  /// The folder of the programs that were built with these tests.
  static let programs: String = {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    // `swift test` runs the tests from a helper of the toolchain; the products are below .build then.
    let own = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let folder = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    return access(folder + "/edgecore", X_OK) == 0 ? folder : root + "/.build/debug"
  }()
}

/// A file's text, also of files whose size the kernel doesn't tell; nil if it can't be read.
func text(of path: String) -> String? {
  let descriptor = open(path, O_RDONLY | O_CLOEXEC)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  var bytes: [UInt8] = []
  var buffer = [UInt8](repeating: 0, count: 64 << 10)
  while true {
    let count = read(descriptor, &buffer, buffer.count)
    if count < 0 { return nil }
    if count == 0 { return String(decoding: bytes, as: UTF8.self) }
    bytes += buffer[..<count]
  }
}

/// Waits for a condition that nothing announces, looking often.
func eventually<Value>(
  _ what: String, within limit: Duration = .seconds(60), _ look: () async throws -> Value?
) async throws -> Value {
  let deadline = ContinuousClock.now + limit
  var lastError: (any Error)?
  while ContinuousClock.now < deadline {
    do {
      if let value = try await look() { return value }
      lastError = nil
    } catch {
      lastError = error
    }
    try await Task.sleep(for: .milliseconds(30))
  }
  throw Shell.Failure(description: "within \(limit): \(what) — \(lastError.map { "\($0)" } ?? "it isn't so")")
}
