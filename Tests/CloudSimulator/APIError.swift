import YAML

/// A refusal of the API server, as Kubernetes' Status has it.
struct APIError: Error, Sendable, CustomStringConvertible {
  enum Reason: String, Sendable {
    case notFound = "NotFound"
    case alreadyExists = "AlreadyExists"
    case conflict = "Conflict"
    case invalid = "Invalid"
    case badRequest = "BadRequest"
  }

  var reason: Reason
  var message: String
  var name: String
  var group: String
  var kind: String

  var description: String { message }

  var code: Int {
    switch reason {
    case .notFound: 404
    case .alreadyExists, .conflict: 409
    case .invalid: 422
    case .badRequest: 400
    }
  }

  static func notFound(_ kind: String, group: String = "", name: String) -> APIError {
    APIError(reason: .notFound, message: "\(qualified(kind, group)) \"\(name)\" not found", name: name, group: group, kind: kind)
  }

  static func alreadyExists(_ kind: String, group: String = "", name: String) -> APIError {
    APIError(
      reason: .alreadyExists, message: "\(qualified(kind, group)) \"\(name)\" already exists", name: name, group: group, kind: kind)
  }

  static func conflict(_ kind: String, group: String = "", name: String, _ why: String) -> APIError {
    APIError(
      reason: .conflict, message: "Operation cannot be fulfilled on \(qualified(kind, group)) \"\(name)\": \(why)", name: name,
      group: group, kind: kind)
  }

  /// A precondition about an object's UID does not hold.
  static func wrongUID(_ kind: String, name: String, wanted: String, actual: String) -> APIError {
    conflict(
      kind, name: name,
      "Precondition failed: UID in precondition: \(wanted), UID in object meta: \(actual). "
        + "The object might have been deleted and then recreated")
  }

  static func outdated(_ kind: String, group: String = "", name: String) -> APIError {
    conflict(
      kind, group: group, name: name, "the object has been modified; please apply your changes to the latest version and try again")
  }

  private static func qualified(_ kind: String, _ group: String) -> String { group.isEmpty ? kind : "\(kind).\(group)" }

  /// `{"ErrStatus":{…}}`, as Go writes the error of its client library.
  var content: JSONValue {
    var details = JSONValue.members(("name", .string(name)))
    if !group.isEmpty { details["group"] = .string(group) }
    details["kind"] = .string(kind)
    return .members(
      (
        "ErrStatus",
        .members(
          ("metadata", .empty), ("status", .string("Failure")), ("message", .string(message)), ("reason", .string(reason.rawValue)),
          ("details", details), ("code", .number(String(code))))
      ))
  }
}
