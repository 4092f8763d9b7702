import Core
import Testing
import YAML

@Suite struct MessageTests {
  @Test func wireFormIsExact() {
    let message = Message(
      header: .init(id: "id-1", parentID: "p", timestamp: 1_700_000_000_123, resourceVersion: "42", sync: true),
      route: .init(source: "edged", group: "meta", operation: .query, resource: "default/pod/\"x\""), content: Array("{\"a\" : 1.0}".utf8))
    #expect(
      String(decoding: message.wire, as: UTF8.self)
        == #"{"header":{"msg_id":"id-1","parent_msg_id":"p","timestamp":1700000000123,"resourceversion":"42","sync":true},"#
        + #""route":{"source":"edged","group":"meta","operation":"query","resource":"default/pod/\"x\""},"content":{"a" : 1.0}}"#)
    let bare = Message(header: .init(id: "id-2", timestamp: 5), route: .init(source: "", operation: "", resource: ""))
    #expect(String(decoding: bare.wire, as: UTF8.self) == #"{"header":{"msg_id":"id-2","timestamp":5},"route":{},"content":null}"#)
  }

  @Test func readsWhatGoWrites() throws {
    let text = #"""
      {"Header":{"msg_id":"a","parent_msg_id":"b","timestamp":7,"ResourceVersion":"9","type":"x"},
       "route":{"source":"edgecontroller","destination":"d","group":"resource","operation":"update","resource":"ns/pod/p"},
       "content": {"z": 1.50, "a":"\u00e9"} , "extra": [1]}
      """#
    let message = try Message(wire: Array(text.utf8))
    #expect(message.id == "a")
    #expect(message.parentID == "b")
    #expect(message.header.timestamp == 7)
    #expect(message.header.resourceVersion == "9")
    #expect(message.route.source == "edgecontroller")
    #expect(message.operation == .update)
    #expect(String(decoding: message.content, as: UTF8.self) == #"{"z": 1.50, "a":"\u00e9"}"#)
    #expect(try Message(wire: message.wire) == message)
  }

  @Test(arguments: ["", "[]", "{}", #"{"header":{"msg_id":"a"},"content":{"#, #"{"header":{"timestamp":3},"route":{}}"#, #"{"header":3}"#])
  func refuses(text: String) {
    #expect(throws: MessageError.self) { try Message(wire: Array(text.utf8)) }
  }

  @Test func contentAsStringOrAsJSON() throws {
    let route = Message.Route(source: "s", operation: .update, resource: "r")
    let embedded = Message(route: route, content: Array(#"{"n":[1,2]}"#.utf8))
    let asString = Message(route: route, content: JSONValue.string(#"{"n":[1,2]}"#).jsonBytes())
    #expect(try embedded.decodeContent([String: [Int]].self) == ["n": [1, 2]])
    #expect(try asString.decodeContent([String: [Int]].self) == ["n": [1, 2]])
    #expect(String(decoding: Message(route: route, content: Array("\"OK\"".utf8)).payload, as: UTF8.self) == "OK")
  }

  @Test func replies() {
    let request = Message(route: .init(source: "edged", group: "meta", operation: .query, resource: "ns/pod/p"))
    let reply = Message.reply(to: request, from: .metaManager, content: Array("\"OK\"".utf8))
    #expect(reply.parentID == request.id)
    #expect(reply.id != request.id)
    #expect(reply.resource == request.resource)
    #expect(reply.operation == .response)
    #expect(reply.route.source == "metamanager")
    #expect(Message.reply(to: request).route.source == "edged")
  }

  @Test func copiesAreIndependent() {
    let original = Message(route: .init(source: "a", operation: .insert, resource: "r"))
    var copy = original
    copy.header.parentID = "p"
    copy.route.group = "g"
    copy.content = [0x31]
    #expect(original.parentID == "")
    #expect(original.route.group == "")
    #expect(original.content == Message.noContent)
    #expect(copy != original)
  }

  @Test func idsAreUUIDsAndDiffer() async {
    let ids = await withTaskGroup(of: [String].self) { group in
      for _ in 0..<4 { group.addTask { (0..<5000).map { _ in MessageID.make() } } }
      return await group.reduce(into: []) { $0 += $1 }
    }
    #expect(Set(ids).count == 20_000)
    for id in ids.prefix(100) {
      let characters = Array(id)
      #expect(characters.count == 36)
      #expect([8, 13, 18, 23].allSatisfy { characters[$0] == "-" })
      #expect(characters[14] == "4")
      #expect("89ab".contains(characters[19]))
      #expect(characters.allSatisfy { "0123456789abcdef-".contains($0) })
    }
  }
}
