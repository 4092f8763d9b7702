import Core
import DMI
import SwiftProtobuf

/// What a mapper has been told, so that after a restart of the agent it is told no more and no less than what is new.
struct ToldMapper: Sendable, Hashable {
  /// By subject of a call: a mark of what was said of it last.
  var marks: [String: UInt64] = [:]

  /// Something that is to be remembered.
  enum Change: Sendable, Hashable {
    /// A call was made; without a mark the mapper was told that the thing is gone.
    case call(protocolName: String, subject: String, mark: UInt64?)
    /// The mapper was given everything.
    case everything(protocolName: String, ToldMapper)
  }
}

extension MapperCall {
  /// Changes with what is said; nil if it says that something is gone.
  var mark: UInt64? {
    switch self {
    case .putModel(let model, _): Self.mark(model)
    case .putDevice(let device, _): Self.mark(device)
    case .removeModel, .removeDevice: nil
    }
  }

  private static func mark(_ message: some SwiftProtobuf.Message) -> UInt64 {
    var options = BinaryEncodingOptions()
    options.useDeterministicOrdering = true
    let bytes: [UInt8] = (try? message.serializedBytes(options: options)) ?? []
    return StableHash.value(of: bytes)
  }

  /// The same about something that the mapper knows.
  var asChange: MapperCall {
    switch self {
    case .putModel(let model, _): .putModel(model, isNew: false)
    case .putDevice(let device, _): .putDevice(device, isNew: false)
    case .removeModel, .removeDevice: self
    }
  }

  /// The call that says that a subject is gone; nil for a text that is no subject.
  static func removal(of subject: String) -> MapperCall? {
    let words = subject.split(separator: " ", maxSplits: 1)
    guard words.count == 2, let slash = words[1].firstIndex(of: "/") else { return nil }
    let (namespace, name) = (String(words[1][..<slash]), String(words[1][words[1].index(after: slash)...]))
    switch words[0] {
    case "model": return .removeModel(namespace: namespace, name: name)
    case "device": return .removeDevice(namespace: namespace, name: name)
    default: return nil
    }
  }
}
