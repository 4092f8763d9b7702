import KubernetesAPI
import Testing
import YAML

@Suite struct ObjectTests {
  @Test(
    arguments: [("8080", .int(8080)), ("\"http\"", .string("http")), ("\"8080\"", .string("8080")), ("-1", .int(-1))]
      as [(String, IntOrString)])
  func intOrString(json: String, expected: IntOrString) throws {
    let value = try JSONValue(json: json)
    #expect(try value.decode(IntOrString.self) == expected)
    #expect(try JSONValue(encoding: expected) == value)
  }

  @Test(arguments: ["true", "[]", "1.5", "3000000000"])
  func noIntOrString(json: String) {
    #expect(throws: DecodingFailure.self) { try JSONValue(json: json).decode(IntOrString.self) }
  }

  @Test func ephemeralContainerIsAContainerAndMore() throws {
    let json = #"{"name":"debug","image":"busybox","command":["sh"],"stdin":true,"tty":true,"targetContainerName":"app"}"#
    let value = try JSONValue(json: json)
    let container = try value.decode(EphemeralContainer.self)
    #expect(container.container.name == "debug")
    #expect(container.targetContainerName == "app")
    #expect(try JSONValue(encoding: container) == value)
    let failure = #expect(throws: DecodingFailure.self) {
      try JSONValue(json: #"{"name":"d","targetContainerName":3}"#).decode(EphemeralContainer.self)
    }
    #expect(failure?.field == "targetContainerName")
  }

  @Test func podFromYAML() throws {
    let text = """
      apiVersion: v1
      kind: Pod
      metadata: {name: web, labels: {app: web}}
      spec:
        containers:
        - name: web
          image: nginx:1.27
          ports: [{containerPort: 80, hostPort: 8080}]
          env: [{name: A, value: "1"}]
          resources: {limits: {cpu: 250m, memory: 64Mi}}
          livenessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 5}
      """
    let pod = try #require(try YAML.documents(text).first).value.decode(Pod.self)
    #expect(pod.metadata.name == "web")
    #expect(pod.spec.containers.first?.resources?.limits?["cpu"]?.milliValue == 250)
    #expect(try JSONValue(encoding: pod).decode(Pod.self) == pod)
  }
}
