import Testing
import YAML

private struct Pod: Codable, Hashable {
  struct Port: Codable, Hashable { var containerPort: Int32 }
  struct Container: Codable, Hashable {
    var name: String
    var ports: [Port]?
    var policy: Policy?
  }
  struct Spec: Codable, Hashable {
    var containers: [Container]
    var grace: Double?
  }
  enum Policy: String, Codable { case always = "Always" }
  var spec: Spec
  var labels: [String: String]?
}

@Suite struct CodingTests {
  @Test(arguments: [
    (#"{}"#, "spec: is missing"),
    (#"{"spec":{}}"#, "spec.containers: is missing"),
    (#"{"spec":{"containers":3}}"#, "spec.containers: expected a list, found the number 3"),
    (#"{"spec":{"containers":[{"name":"a"},{"name":7}]}}"#, "spec.containers[1].name: expected a string, found the number 7"),
    (
      #"{"spec":{"containers":[{"name":"a","ports":"s3cret"}]}}"#,
      "spec.containers[0].ports: expected a list, found a string"
    ),
    (
      #"{"spec":{"containers":[{"name":"a","ports":[{"containerPort":3000000000}]}]}}"#,
      "spec.containers[0].ports[0].containerPort: expected a whole number from -2147483648 to 2147483647, found the number 3000000000"
    ),
    (
      #"{"spec":{"containers":[{"name":"a","ports":[{"containerPort":1.5}]}]}}"#,
      "spec.containers[0].ports[0].containerPort: expected a whole number, found the number 1.5"
    ),
    (#"{"spec":{"containers":[],"grace":true}}"#, "spec.grace: expected a number, found the boolean true"),
    (#"{"spec":{"containers":[]},"labels":{"a.b/c":1}}"#, #"labels["a.b/c"]: expected a string, found the number 1"#),
    (#"[]"#, "expected an object, found a list"),
  ])
  func failuresNameTheField(text: String, expected: String) throws {
    let failure = #expect(throws: DecodingFailure.self) { try JSONValue(json: text).decode(Pod.self) }
    #expect(failure?.description == expected)
  }

  @Test func enumerationsNameTheirPath() throws {
    let value = try JSONValue(json: #"{"spec":{"containers":[{"name":"a","policy":"Allways"}]}}"#)
    let failure = #expect(throws: DecodingFailure.self) { try value.decode(Pod.self) }
    #expect(failure?.field == "spec.containers[0].policy")
  }

  @Test func nullStandsForAbsent() throws {
    let pod = try JSONValue(json: #"{"spec":{"containers":null,"grace":null},"labels":null,"unknown":[1]}"#).decode(Pod.self)
    #expect(pod == Pod(spec: .init(containers: []), labels: nil))
  }

  @Test func roundTrip() throws {
    let labels = Dictionary(uniqueKeysWithValues: (0..<50).map { ("key\($0)", "\($0)") })
    let pod = Pod(
      spec: .init(containers: [.init(name: "a", ports: [.init(containerPort: 80)], policy: .always), .init(name: "b")], grace: 1.5),
      labels: labels)
    let value = try JSONValue(encoding: pod)
    #expect(try value.decode(Pod.self) == pod)
    #expect(try JSONValue(json: value.jsonBytes()).decode(Pod.self) == pod)
    #expect(value.object?.map(\.key) == ["spec", "labels"])
    #expect(value["labels"]?.object?.map(\.key) == labels.keys.sorted())
    #expect(value["spec"]?["containers"]?.array?[1] == .object([.init("name", .string("b"))]))
  }

  @Test func valuesInsideValues() throws {
    struct Wrapper: Codable, Hashable {
      var raw: JSONValue
      var list: [JSONValue]
    }
    let value = try JSONValue(json: #"{"raw":{"z":1.50,"a":[null]},"list":[1,"x"]}"#)
    let wrapper = try value.decode(Wrapper.self)
    #expect(wrapper.raw["z"] == .number("1.50"))
    #expect(try JSONValue(encoding: wrapper) == value)
  }

  @Test func numbers() throws {
    #expect(try JSONValue.number("255").decode(UInt8.self) == 255)
    #expect(throws: DecodingFailure.self) { try JSONValue.number("256").decode(UInt8.self) }
    #expect(try JSONValue.number("1e3").decode(Double.self) == 1000)
    #expect(try JSONValue(encoding: [1.0, 1.5, 1e300]) == .array([.number("1"), .number("1.5"), .number("1e+300")]))
    #expect(throws: EncodingError.self) { try JSONValue(encoding: [Double.infinity]) }
  }

  @Test func largeDictionariesDecode() throws {
    let members = (0..<20_000).map { JSONValue.Member("k\($0)", .string("v\($0)")) }
    let dictionary = try JSONValue.object(members).decode([String: String].self)
    #expect(dictionary.count == 20_000)
    #expect(dictionary["k777"] == "v777")
  }

  @Test func paths() {
    let path: [PathComponent] = [.key("a"), .index(0), .key("b.c"), .key("d")]
    #expect(path.dotted == #"a[0]["b.c"].d"#)
  }
}
