import KubernetesAPI
import Testing
import YAML

struct ClusterObjectTests {
  @Test func configMapsHaveTextAndBytes() throws {
    let json =
      #"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"a":"1"},"binaryData":{"b":"/wA="},"immutable":true}"#
    let map: ConfigMap = try JSONValue(json: json).decode()
    #expect(map.data == ["a": "1"] && map.binaryData == ["b": Base64Bytes([0xFF, 0x00])] && map.immutable == true)
    #expect(try JSONValue(encoding: map) == JSONValue(json: json))
  }

  @Test func secretsNeverShowTheirValues() throws {
    let json = """
      {"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n","annotations":{"last":"c2VzYW1l"}},
      "type":"Opaque","data":{"k":"c2VzYW1l"}}
      """
    let secret: Secret = try JSONValue(json: json).decode()
    #expect(secret.data?["k"]?.bytes == Array("sesame".utf8))
    #expect(try JSONValue(encoding: secret) == JSONValue(json: json))
    var text = "\(secret) \(String(reflecting: secret)) \(secret.data ?? [:])"
    dump(secret, to: &text)
    dump(secret.data, to: &text)
    #expect(text.contains("secret n/s with 1 values"))
    for form in ["sesame", "c2VzYW1l", "115"] { #expect(!text.contains(form)) }
  }

  @Test(arguments: ["%%%", "YQ", "a b="]) func whatIsNoBase64IsRefusedUnseen(text: String) throws {
    let json = #"{"metadata":{"name":"s"},"data":{"k":"\#(text)"}}"#
    let failure = #expect(throws: DecodingFailure.self) { try JSONValue(json: json).decode(Secret.self) }
    #expect(failure?.description == "data.k: expected base64")
  }

  @Test func anObjectWithoutMetadataIsNone() throws {
    // What the cloud answers when it has no such object.
    let json = #"{"ErrStatus":{"metadata":{},"status":"Failure","reason":"NotFound"}}"#
    #expect(throws: DecodingFailure.self) { try JSONValue(json: json).decode(ConfigMap.self) }
  }

  @Test func tokenRequestsCarryTokensBack() throws {
    let request = TokenRequest(
      spec: TokenRequestSpec(
        expirationSeconds: 3607, boundObjectRef: BoundObjectReference(kind: "Pod", apiVersion: "v1", name: "p", uid: "u")))
    #expect(
      try JSONValue(encoding: request)
        == JSONValue(
          json: #"{"apiVersion":"authentication.k8s.io/v1","kind":"TokenRequest","spec":{"expirationSeconds":3607,"#
            + #""boundObjectRef":{"kind":"Pod","apiVersion":"v1","name":"p","uid":"u"}}}"#))
    let answer: TokenRequest = try JSONValue(
      json: #"{"spec":{"audiences":null},"status":{"token":"t0k","expirationTimestamp":"2026-03-01T12:00:00Z"}}"#
    ).decode()
    #expect(answer.status?.token == "t0k" && answer.status?.expirationTimestamp == Timestamp("2026-03-01T12:00:00Z"))
    var text = "\(answer) \(String(reflecting: answer))"
    dump(answer, to: &text)
    #expect(!text.contains("t0k"))
  }
}
