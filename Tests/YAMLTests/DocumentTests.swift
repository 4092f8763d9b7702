import Testing
import YAML

@Suite struct DocumentTests {
  @Test func everyDocumentCounts() throws {
    let documents = try YAML.documents("# nothing yet\n---\na: 1\n---\n- b\n---\n---\nc\n")
    #expect(documents.map(\.value) == [.object([.init("a", .number("1"))]), .array([.string("b")]), .null, .string("c")])
    #expect(documents.map(\.startLine).prefix(2) == [3, 5])
    #expect(try YAML.documents("").isEmpty)
    #expect(try YAML.documents("# only a comment\n").isEmpty)
  }

  @Test func keysKeepTheirOrderAndBecomeStrings() throws {
    let value = try YAML.documents("b: 1\na: 2\n3: x\ntrue: y\n").first?.value
    #expect(value?.object?.map(\.key) == ["b", "a", "3", "true"])
  }

  @Test func linesOfFields() throws {
    let text = """
      kind: Pod
      spec:
        containers:
        - name: one
          image: a
        - name: two
          ports:
            - containerPort: 80
      """
    let document = try #require(try YAML.documents(text).first)
    #expect(document.line(of: []) == 1)
    #expect(document.line(of: [.key("spec"), .key("containers")]) == 3)
    #expect(document.line(of: [.key("spec"), .key("containers"), .index(1)]) == 6)
    #expect(document.line(of: [.key("spec"), .key("containers"), .index(1), .key("ports"), .index(0), .key("containerPort")]) == 8)
    #expect(document.line(of: [.key("spec"), .key("volumes")]) == nil)
    #expect(document.line(of: [.key("spec"), .key("containers"), .index(2)]) == nil)
  }

  @Test func linesOfFieldsInJSON() throws {
    let document = try #require(try YAML.documents("\n{\n  \"a\": [1, {\"}\": 2},\n   3],\n  \"b\\u0041\": {\"c\":\n true}\n}").first)
    #expect(document.startLine == 2)
    #expect(document.line(of: [.key("a")]) == 3)
    #expect(document.line(of: [.key("a"), .index(2)]) == 4)
    #expect(document.line(of: [.key("bA"), .key("c")]) == 5)
    #expect(document.line(of: [.key("a"), .index(1), .key("}")]) == 3)
    #expect(document.line(of: [.key("a"), .index(3)]) == nil)
    #expect(document.line(of: [.key("z")]) == nil)
  }

  @Test func aliasesAndMergeKeys() throws {
    let text = """
      base: &base {image: a, pull: Never}
      more: &more {pull: Always, tty: true}
      one: {<<: *base, image: b}
      two: {<<: [*base, *more], name: x}
      three: *base
      """
    let value = try #require(try YAML.documents(text).first?.value)
    #expect(value["one"]?["image"] == .string("b"))
    #expect(value["one"]?["pull"] == .string("Never"))
    #expect(value["two"]?["pull"] == .string("Never"))
    #expect(value["two"]?["tty"] == .bool(true))
    #expect(value["three"] == value["base"])
  }

  @Test(arguments: [
    ("a: 1\nb: 2\na: 3\n", 3, "given twice"), ("a: *nobody\n", 1, "unknown anchor"), ("a: &a [*a]\n", 1, "contains itself"),
    ("a: [1, 2\nb: 3\n", 2, ""), ("a:\n\t- b\n", 2, ""), ("? [a]\n: b\n", 1, "scalar"), ("<<: 3\n", 1, "merge key"),
    ("a: b: c\n", 1, ""), ("ok: 1\n---\nx: \"unfinished\n", 3, ""), ("~: 1\n", 1, "null"),
  ])
  func errorsNameTheirLine(text: String, line: Int, part: String) {
    let error = #expect(throws: YAMLError.self) { try YAML.documents(text) }
    #expect((error?.line ?? 0) >= line, "\(error.map { "\($0)" } ?? "")")
    #expect((error?.line ?? 0) <= line + 2)
    #expect(error?.description.contains(part) == true)
  }

  @Test func expansionIsBounded() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1...9 { text += "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", "))]\n" }
    let error = #expect(throws: YAMLError.self) { try YAML.documents(text) }
    #expect(error?.problem.contains("aliases expand") == true)
  }

  @Test func sizeAndDepthAreBounded() {
    #expect(throws: YAMLError.self) { try YAML.documents("a: 123456789", maximumBytes: 10) }
    let deep = String(repeating: "[", count: 5000) + String(repeating: "]", count: 5000)
    #expect(throws: YAMLError.self) { try YAML.documents(deep) }
    #expect(throws: YAMLError.self) { try YAML.documents("a: " + deep) }
    #expect(throws: YAMLError.self) { try YAML.documents([0xFF, 0xFE, 0x00]) }
  }

  @Test func jsonWithSurrogatesAndTabs() throws {
    let value = try YAML.documents("{\n\t\"a\": \"\\ud83d\\ude00 \\/\"\n}").first?.value
    #expect(value?["a"] == .string("😀 /"))
    #expect(throws: YAMLError.self) { try YAML.documents("{\"a\": 1, \"a\": 2}") }
    #expect(try YAML.documents("{a: b, c: [d]}").first?.value["c"] == .array([.string("d")]))
  }
}
