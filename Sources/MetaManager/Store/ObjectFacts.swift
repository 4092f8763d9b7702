import YAML

/// What the store has to know of an object, read without building all of it.
struct ObjectFacts: Sendable, Hashable {
  var uid: String?
  /// Versions of a cluster count up, over all its objects.
  var resourceVersion: UInt64?
  var nodeName: String?

  /// Nil if the bytes are no JSON object.
  init?(_ object: [UInt8]) {
    guard let members = try? JSONScan.members(of: object) else { return nil }
    for (key, range) in members {
      switch key {
      case "metadata":
        for (key, value) in Self.members(object, range) {
          switch key {
          case "uid": uid = Self.text(object, value)
          case "resourceVersion": resourceVersion = Self.text(object, value).flatMap { UInt64($0) }
          default: break
          }
        }
      case "spec":
        for (key, value) in Self.members(object, range) where key == "nodeName" { nodeName = Self.text(object, value) }
      default: break
      }
    }
  }

  /// The members of a value inside the object, with places in the whole.
  private static func members(_ object: [UInt8], _ range: Range<Int>) -> [(key: String, value: Range<Int>)] {
    guard let members = try? JSONScan.members(of: Array(object[range])) else { return [] }
    return members.map { ($0.key, $0.value.lowerBound + range.lowerBound..<$0.value.upperBound + range.lowerBound) }
  }

  private static func text(_ object: [UInt8], _ range: Range<Int>) -> String? {
    (try? JSONValue(json: Array(object[range])))?.string.flatMap { $0.isEmpty ? nil : $0 }
  }
}
