import Core
import Curl
import Testing
import YAML

@testable import ServiceBus

@Suite struct PartsTests {
  @Test func base64IsThatOfEverybody() throws {
    for (plain, text) in [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
    ] {
      #expect(Base64.json(Array(plain.utf8)) == Array("\"\(text)\"".utf8))
      #expect(Base64.decode(text.utf8) == Array(plain.utf8))
    }
    let all = (0...255).map { UInt8($0) }
    let text = try #require(try JSONValue(json: Base64.json(all)).string)
    #expect(Base64.decode(text.utf8) == all)
    #expect(Base64.decode("Zm9v\r\nYmFy\n".utf8) == Array("foobar".utf8))
    for broken in ["Z", "Zg", "Zg=", "Zg===", "Zm9v=", "Zm=8", "Zm9v!", "Zm 8="] { #expect(Base64.decode(broken.utf8) == nil, "\(broken)") }
  }

  @Test func aRuleEndsUnderTheNameThatTheCloudGivesIt() {
    var set = TargetSet(["http://h/p", "http://h/q/", "/local", "http://h/p?x=//y"])
    for (url, changes) in [
      ("http:/h/z", false), ("http:/h/p", true), ("http:/h/q", true), ("local", true), ("http://h/p?x=/y", false), ("http:/h/p?x=/y", true),
    ] {
      let hasChanged = set.apply(.forbid(url))
      #expect(hasChanged == changes, "\(url)")
    }
    #expect(set.urls.isEmpty)
    // One that isn't cleaned means itself.
    set.apply(.allow("http://h/p/"))
    set.apply(.forbid("http://h/p"))
    #expect(set.urls == ["http://h/p/"])
    set.apply(.forbid("http://h/p/"))
    #expect(set.urls.isEmpty)
    // The exact one goes first.
    set = TargetSet(["http:/h/p", "http://h/p"])
    set.apply(.forbid("http:/h/p"))
    #expect(set.urls == ["http://h/p"])
  }

  @Test func pathsAreCleanedAsTheCloudDoes() {
    for (url, cleaned) in [("http://h/p", "http:/h/p"), ("a//b/./c/", "a/b/c"), ("a/../b", "b"), ("/x", "x"), ("", "")] {
      #expect(TargetSet.cleaned(url) == cleaned)
    }
  }

  @Test(arguments: [
    ("8080:/path", "http://127.0.0.1:8080/path"), ("8080:path", "http://127.0.0.1:8080/path"), ("1:", "http://127.0.0.1:1/"),
    ("65535:/a?b=c:d", "http://127.0.0.1:65535/a?b=c:d"), ("80:@evil.example/x", "http://127.0.0.1:80/@evil.example/x"),
    ("80://evil.example/x", "http://127.0.0.1:80//evil.example/x"), ("80:/ä", "http://127.0.0.1:80/%C3%A4"),
    ("80:/../x", "http://127.0.0.1:80/../x"),
  ])
  func resourcesLeadToLoopback(_ resource: String, _ url: String) { #expect(Call.url(resource) == url) }

  @Test(arguments: [
    "", ":", "8080", "8080/path", ":/path", "0:/x", "65536:/x", "99999999999:/x", "-1:/x", "+80:/x", "80 :/x", " 80:/x", "0x50:/x",
    "evil.example:80/x", "80@evil.example:80/x", "80:/a b", "80:/a\r\nHost: x", "80:/a\nb", "80:/a\tb", "80:/a\u{0}b", "80:\\x", "８０:/x",
  ])
  func resourcesThatLeadElsewhereAreRefused(_ resource: String) { #expect(Call.url(resource) == nil) }

  private func call(_ content: String, _ operation: Message.Operation = "GET") throws(CallAnswer) -> Call {
    try Call(
      Message(
        route: .init(source: "router_servicebus", group: "user", operation: operation, resource: "80:/"), content: Array(content.utf8)))
  }

  @Test func aCallIsReadInWhateverFormItComes() throws {
    let call = try call(
      #"{"Header":{"X-One":["a","b"],"Connection":["close, X-Gone"],"X-Gone":["1"],"Host":["evil"],"Content-Length":["99"],"Te":["x"]},"BODY":"aGk=","method":"PUT","url":""}"#
    )
    #expect(call.method == "PUT")
    #expect(call.body == Array("hi".utf8))
    #expect(call.headers == [HTTPField("X-One", "a"), HTTPField("X-One", "b"), HTTPField("Accept", "*/*")])
    let inText = try self.call(JSONValue.string(#"{"header":null,"body":null,"method":""}"#).jsonText(), "PATCH")
    #expect(inText.method == "PATCH")
    #expect(inText.body.isEmpty)
    #expect(try self.call("null", "publish").method == "GET")
    // Slashes may be escaped in JSON.
    #expect(try self.call(#"{"body":"\/\/\/\/"}"#).body == [0xFF, 0xFF, 0xFF])
  }

  @Test(arguments: [
    "[]", "1", "\"text\"", #"{"body":"%%%"}"#, #"{"body":7}"#, #"{"header":[]}"#, #"{"header":{"a":[1]}}"#, #"{"method":["GET"]}"#,
  ])
  func aCallThatCannotBeReadIsAnswered(_ content: String) {
    let answer = #expect(throws: CallAnswer.self) { try self.call(content) }
    #expect(answer?.status == 400)
    #expect(answer.map { String(decoding: $0.body, as: UTF8.self) } == "error to parse http request")
  }

  @Test func anAnswerHasTheNamesThatTheCloudLooksFor() throws {
    let answer = CallAnswer(
      status: 201,
      headers: [
        HTTPField("content-type", "text/plain"), HTTPField("set-cookie", "a=1"), HTTPField("Set-Cookie", "b=2"),
        HTTPField("CONNECTION", "x-own"),
        HTTPField("X-Own", "1"), HTTPField("Transfer-Encoding", "chunked"), HTTPField("Content-Length", "5"), HTTPField("x-a-bC", "\"q\""),
      ], body: Array("hello".utf8))
    #expect(
      String(decoding: answer.json, as: UTF8.self)
        == #"{"header":{"Content-Type":["text/plain"],"Set-Cookie":["a=1","b=2"],"X-A-Bc":["\"q\""]},"status_code":201,"body":"aGVsbG8="}"#)
  }
}
