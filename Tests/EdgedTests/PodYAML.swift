import KubernetesAPI
import Testing
import YAML

extension Pod {
  /// The pod `shop/web` of uid `u-1` with the given spec.
  static func yaml(_ spec: String, labels: [String: String]? = nil, annotations: [String: String]? = nil) throws -> Pod {
    let document = try #require(try YAML.documents(spec).first)
    return Pod(
      metadata: ObjectMeta(name: "web", namespace: "shop", uid: "u-1", labels: labels, annotations: annotations),
      spec: try document.value.decode(PodSpec.self))
  }
}
