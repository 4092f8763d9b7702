import Core
import YAML

/// What the cloud says to a request. Success and failure have the same operation; only the content tells them apart.
enum CloudReply: Sendable, Hashable {
  /// The object asked for, created or patched.
  case object([UInt8])
  /// Done, and no more to say.
  case done
  case failure(MetadataError)

  /// - Parameter about: the resource, for messages.
  init(_ message: Message, about resource: String) {
    if message.operation == .error {
      self = .failure(MetadataError(content: message.content))
      return
    }
    let payload = message.payload
    guard let members = try? JSONScan.members(of: payload) else {
      self = payload == Array("OK".utf8) ? .done : .failure(Self.unclear(resource))
      return
    }
    func member(_ key: String) -> [UInt8]? { members.last { $0.key == key }.map { Array(payload[$0.value]) } }
    if let error = member("Err"), member("Object") != nil || members.count <= 2 {
      if error == Message.noContent, let object = member("Object"), object != Message.noContent {
        self = .object(object)
      } else {
        self = .failure(Self.error(error, resource))
      }
    } else if let status = member("ErrStatus") {
      self = .failure(Self.error(status: try? JSONValue(json: status), resource))
    } else if members.isEmpty {
      self = .failure(Self.unclear(resource))
    } else {
      self = .object(payload)
    }
  }

  private static func unclear(_ resource: String) -> MetadataError {
    MetadataError(.refused, "the cloud refused \(resource) without saying why")
  }

  private static func error(_ error: [UInt8], _ resource: String) -> MetadataError {
    let value = try? JSONValue(json: error)
    return Self.error(status: value?["ErrStatus"] ?? value, resource)
  }

  /// From a meta/v1 Status.
  private static func error(status: JSONValue?, _ resource: String) -> MetadataError {
    let kind: MetadataError.Kind =
      switch status?["reason"]?.string {
      case "NotFound": .notFound
      case "AlreadyExists": .alreadyExists
      case "Conflict": .conflict
      default: .refused
      }
    guard let message = status?["message"]?.string else { return unclear(resource) }
    return MetadataError(kind, message)
  }
}
