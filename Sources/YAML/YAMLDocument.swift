/// One document of a YAML text: its value, and where in the text each part of it stands.
public struct YAMLDocument: Sendable {
  public let value: JSONValue
  /// Line of the document's first value, counted from 1 in the whole text.
  public let startLine: Int
  private let places: Places

  enum Places: Sendable {
    case tree(LineTree)
    case json([UInt8])
  }

  init(value: JSONValue, startLine: Int, places: Places) {
    self.value = value
    self.startLine = startLine
    self.places = places
  }

  /// The line, counted from 1, on which the value at `path` begins; for a member of an object the line of its key.
  /// Nil if there is no such value.
  public func line(of path: [PathComponent]) -> Int? {
    switch places {
    case .tree(var tree):
      var value = value
      for component in path {
        switch (component, value) {
        case (.key(let key), .object(let members)):
          guard let index = members.firstIndex(where: { $0.key == key }), index < tree.children.count else { return nil }
          value = members[index].value
          tree = tree.children[index]
        case (.index(let index), .array(let items)):
          guard items.indices.contains(index), index < tree.children.count else { return nil }
          value = items[index]
          tree = tree.children[index]
        default: return nil
        }
      }
      return Int(tree.line)
    case .json(let bytes):
      return JSONLineFinder.line(of: path, in: bytes)
    }
  }
}

/// The lines of a value and of its parts, in the parts' order.
struct LineTree: Sendable {
  var line: Int32
  var children: [LineTree] = []
}
