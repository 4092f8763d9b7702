/// A device's identity: `<namespace>/<name>`, or, for devices of 2019's KubeEdge, a name alone.
struct DeviceID: Sendable, Hashable, CustomStringConvertible {
  let text: String

  init(_ text: String) { self.text = text }

  init(namespace: String, name: String) { text = "\(namespace)/\(name)" }

  var name: Substring { text[(text.lastIndex(of: "/").map(text.index(after:)) ?? text.startIndex)...] }

  var description: String { text }
}
