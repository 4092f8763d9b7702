import Testing
import YAML

@testable import Core

@Suite struct RegisteredTaintTests {
  private func load(_ text: String) throws -> KubeletConfiguration {
    var loader = ConfigurationLoader()
    loader.defaultFile = "/nonexistent"
    loader.confDirectory = "/nonexistent"
    loader.settings = ["modules.edged.tailoredKubeletConfig.registerWithTaints=\(text)"]
    return try loader.load().configuration.modules.edged.tailoredKubeletConfig
  }

  @Test func areRead() throws {
    #expect(
      try load("[{key: example.com/dedicated, value: edge, effect: NoSchedule}, {key: a, effect: NoExecute}]").registerWithTaints
        == [.init(key: "example.com/dedicated", value: "edge", effect: .noSchedule), .init(key: "a", effect: .noExecute)])
  }

  @Test(arguments: [
    "[{key: a, effect: Never}]", "[{key: '', effect: NoSchedule}]", "[{key: -a, effect: NoSchedule}]", "[{key: a/b/c, effect: NoSchedule}]",
    "[{key: A.com/b, effect: NoSchedule}]", "[{key: a, value: 'b c', effect: NoSchedule}]", "[{key: a}]", "a=b:NoSchedule",
    "[{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}]",
  ])
  func areRefused(text: String) {
    let error = #expect(throws: ConfigurationError.self) { try load(text) }
    #expect(error?.problems.allSatisfy { $0.key.contains("registerWithTaints") } == true, "\(error?.description ?? "")")
  }
}
