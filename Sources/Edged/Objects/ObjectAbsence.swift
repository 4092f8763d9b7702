import Core
import YAML

/// Why an object that a pod refers to isn't at hand.
enum ObjectAbsence: Error, Sendable, Hashable {
  case notFound
  /// The agent has no cloud that it could ask.
  case noCloud
  /// It may exist, but couldn't be had, for this reason. The text never repeats the object.
  case unknown(String)

  /// What asking for the object, or reading it, came to.
  init(_ error: any Error) {
    switch error {
    case let absence as ObjectAbsence: self = absence
    case let error as MetadataError where error.kind == .notFound: self = .notFound
    case let error as MetadataError: self = .unknown(error.message)
    // The failure's own words could show a number of a secret.
    case let failure as DecodingFailure:
      self = .unknown("the answer can't be read at \(failure.field.isEmpty ? "its root" : failure.field)")
    case is JSONSyntaxError: self = .unknown("the answer is no JSON")
    default: self = .unknown("the answer can't be read")
    }
  }

  var reason: String {
    switch self {
    case .notFound: "not found"
    case .noCloud: "there is no cloud to ask"
    case .unknown(let reason): reason
    }
  }
}
