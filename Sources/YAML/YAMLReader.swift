import CYAML

/// Turns libyaml's events into documents.
struct YAMLReader {
  private let parser: UnsafeMutablePointer<yaml_parser_t>
  private var event = yaml_event_t()
  private var anchors: [String: Anchor] = [:]
  private var aliasedValues = 0

  /// A node of the text: its value, its lines, and how many values it holds itself included.
  private struct Node {
    var value: JSONValue
    var lines: LineTree
    var size: Int
    /// A plain `<<`, which in the place of a key means "merge".
    var isMerge = false
  }

  private enum Anchor {
    case open
    case complete(Node)
  }

  private init(parser: UnsafeMutablePointer<yaml_parser_t>) { self.parser = parser }

  static func read(_ bytes: [UInt8]) throws(YAMLError) -> [YAMLDocument] {
    let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    defer { parser.deallocate() }
    guard yaml_parser_initialize(parser) == 1 else {
      throw YAMLError(line: 0, column: 0, problem: "out of memory")
    }
    defer { yaml_parser_delete(parser) }
    let result: Result<[YAMLDocument], YAMLError> = bytes.withUnsafeBufferPointer { buffer in
      yaml_parser_set_input_string(parser, buffer.baseAddress, buffer.count)
      var reader = YAMLReader(parser: parser)
      defer { yaml_event_delete(&reader.event) }
      do throws(YAMLError) {
        return .success(try reader.stream())
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  private mutating func stream() throws(YAMLError) -> [YAMLDocument] {
    var documents: [YAMLDocument] = []
    while true {
      try next()
      switch event.type {
      case YAML_STREAM_END_EVENT: return documents
      case YAML_DOCUMENT_START_EVENT:
        anchors.removeAll()
        try next()
        let node = try self.node(depth: 0)
        documents.append(YAMLDocument(value: node.value, startLine: Int(node.lines.line), places: .tree(node.lines)))
        try next()  // The end of the document.
      default: break
      }
    }
  }

  private mutating func next() throws(YAMLError) {
    yaml_event_delete(&event)
    guard yaml_parser_parse(parser, &event) == 1 else {
      let problem = parser.pointee.problem.map { String(cString: $0) } ?? "no YAML"
      // The reader (encoding) knows an offset, the scanner and the parser a place.
      if parser.pointee.error == YAML_READER_ERROR {
        throw YAMLError(line: 0, column: 0, problem: "\(problem) at byte \(parser.pointee.problem_offset)")
      }
      let context = parser.pointee.context.map { " (\(String(cString: $0)))" } ?? ""
      throw error("\(problem)\(context)", at: parser.pointee.problem_mark)
    }
  }

  private func error(_ problem: String, at mark: yaml_mark_t) -> YAMLError {
    YAMLError(line: Int(mark.line) + 1, column: Int(mark.column) + 1, problem: problem)
  }

  /// The node that the current event begins; ends on the node's last event.
  private mutating func node(depth: Int) throws(YAMLError) -> Node {
    let mark = event.start_mark
    guard depth < YAML.maximumDepth else { throw error("more than \(YAML.maximumDepth) levels of nesting", at: mark) }
    switch event.type {
    case YAML_SCALAR_EVENT: return try scalar()
    case YAML_ALIAS_EVENT: return try alias()
    case YAML_SEQUENCE_START_EVENT:
      let anchor = opened(event.data.sequence_start.anchor)
      let node = try sequence(depth: depth)
      if let anchor { anchors[anchor] = .complete(node) }
      return node
    case YAML_MAPPING_START_EVENT:
      let anchor = opened(event.data.mapping_start.anchor)
      let node = try mapping(depth: depth)
      if let anchor { anchors[anchor] = .complete(node) }
      return node
    default: throw error("a value is missing", at: mark)
    }
  }

  private mutating func opened(_ anchor: UnsafeMutablePointer<yaml_char_t>?) -> String? {
    guard let anchor else { return nil }
    let name = String(cString: anchor)
    anchors[name] = .open
    return name
  }

  private mutating func alias() throws(YAMLError) -> Node {
    let mark = event.start_mark
    let name = event.data.alias.anchor.map { String(cString: $0) } ?? ""
    switch anchors[name] {
    case nil: throw error("unknown anchor \"\(name)\"", at: mark)
    case .open: throw error("the anchor \"\(name)\" contains itself", at: mark)
    case .complete(let node):
      aliasedValues += node.size
      guard aliasedValues <= YAML.maximumAliasedValues else {
        throw error("aliases expand to more than \(YAML.maximumAliasedValues) values", at: mark)
      }
      return node
    }
  }

  private mutating func scalar() throws(YAMLError) -> Node {
    let mark = event.start_mark
    let data = event.data.scalar
    let text = String(decoding: UnsafeBufferPointer(start: data.value, count: data.length), as: UTF8.self)
    let tag = data.tag.map { String(cString: $0) }
    let plain = data.style == YAML_PLAIN_SCALAR_STYLE
    let anchor = opened(data.anchor)
    let value: JSONValue
    do throws(YAMLScalar.Unresolvable) {
      value = try YAMLScalar.resolve(text, plain: plain, tag: tag)
    } catch let failure {
      throw error(failure.problem, at: mark)
    }
    let merge = text == "<<" && (plain && tag == nil || tag == YAMLScalar.tagPrefix + "merge")
    let node = Node(value: value, lines: LineTree(line: Int32(clamping: mark.line + 1)), size: 1, isMerge: merge)
    if let anchor { anchors[anchor] = .complete(node) }
    return node
  }

  private mutating func sequence(depth: Int) throws(YAMLError) -> Node {
    var lines = LineTree(line: Int32(clamping: event.start_mark.line + 1))
    var items: [JSONValue] = []
    var size = 1
    while true {
      try next()
      if event.type == YAML_SEQUENCE_END_EVENT { return Node(value: .array(items), lines: lines, size: size) }
      let item = try node(depth: depth + 1)
      items.append(item.value)
      lines.children.append(item.lines)
      size += item.size
    }
  }

  private mutating func mapping(depth: Int) throws(YAMLError) -> Node {
    var lines = LineTree(line: Int32(clamping: event.start_mark.line + 1))
    var members: [JSONValue.Member] = []
    var merged: [(node: Node, mark: yaml_mark_t)] = []
    var seen: Set<String> = []
    var size = 1
    while true {
      try next()
      if event.type == YAML_MAPPING_END_EVENT { break }
      let mark = event.start_mark
      let keyNode = try node(depth: depth + 1)
      try next()
      if keyNode.isMerge {
        merged.append((try node(depth: depth + 1), mark))
        continue
      }
      let key = try self.key(keyNode.value, at: mark)
      guard seen.insert(key).inserted else { throw error("the key \"\(key)\" is given twice", at: mark) }
      var value = try node(depth: depth + 1)
      value.lines.line = keyNode.lines.line
      members.append(JSONValue.Member(key, value.value))
      lines.children.append(value.lines)
      size += value.size
    }
    for (node, mark) in merged {
      for (source, tree) in try mergeSources(node, at: mark) {
        for (index, member) in source.enumerated() where seen.insert(member.key).inserted {
          members.append(member)
          lines.children.append(tree.children[index])
        }
      }
      size += node.size
    }
    return Node(value: .object(members), lines: lines, size: size)
  }

  private func mergeSources(_ node: Node, at mark: yaml_mark_t) throws(YAMLError) -> [([JSONValue.Member], LineTree)] {
    if case .object(let members) = node.value { return [(members, node.lines)] }
    var sources: [([JSONValue.Member], LineTree)] = []
    if case .array(let items) = node.value {
      for (index, item) in items.enumerated() {
        guard case .object(let members) = item else { break }
        sources.append((members, node.lines.children[index]))
      }
      if sources.count == items.count { return sources }
    }
    throw error("a merge key (<<) takes a mapping or a list of mappings", at: mark)
  }

  private func key(_ value: JSONValue, at mark: yaml_mark_t) throws(YAMLError) -> String {
    switch value {
    case .string(let text): return text
    case .number(let text): return text
    case .bool(let flag): return flag ? "true" : "false"
    case .null: throw error("a key must not be null", at: mark)
    case .array, .object: throw error("a key must be a scalar", at: mark)
    }
  }
}
