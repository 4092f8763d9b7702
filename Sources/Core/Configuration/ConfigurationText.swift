import YAML

/// The configuration as a text for people, every key with what it means.
public enum ConfigurationText {
  /// Every key with its default, for `--defaultconfig`.
  public static func defaultConfiguration() throws -> String {
    """
    # Every key with its default value. The agent reads this file from /etc/kubeedge/config/edgecore.yaml or from --config;
    # what is missing in it reads as the default. Keys of KubeEdge's edgecore.yaml that are not listed here are kept and reported.
    # A key can also be given as --set modules.edged.nodeIP=10.0.0.5 or as EDGECORE_MODULES_EDGED_NODEIP=10.0.0.5.

    """ + text(try JSONValue(encoding: EdgeCoreConfiguration()))
  }

  /// What most nodes need to set, for `--minconfig`.
  public static func minimalConfiguration() throws -> String {
    let all = try JSONValue(encoding: EdgeCoreConfiguration())
    let paths = [
      "apiVersion", "kind", "database.dataSource", "modules.edged.hostnameOverride", "modules.edged.nodeIP", "modules.edged.rootDirectory",
      "modules.edged.podSandboxImage", "modules.edged.tailoredKubeletConfig.containerRuntimeEndpoint",
      "modules.edged.tailoredKubeletConfig.staticPodPath", "modules.edged.tailoredKubeletConfig.clusterDNS",
      "modules.edged.tailoredKubeletConfig.cgroupDriver",
    ]
    var tree = ConfigurationTree(defaults: .object([]))
    for path in paths {
      let components: [PathComponent] = path.split(separator: ".").map { .key(String($0)) }
      guard let value = ConfigurationTree(defaults: all).value(at: components) else { continue }
      tree.merge(.nested(value, at: components)) { _ in .builtIn }
    }
    return """
      # What most nodes set; everything else has its default, which --defaultconfig shows.
      # The agent reads this file from /etc/kubeedge/config/edgecore.yaml or from --config.
      # A key can also be given as --set modules.edged.nodeIP=10.0.0.5 or as EDGECORE_MODULES_EDGED_NODEIP=10.0.0.5.

      """ + text(tree.value)
  }

  static func text(_ value: JSONValue) -> String { "\n" + YAML.text(value) { comments[$0.dotted] } }
}
