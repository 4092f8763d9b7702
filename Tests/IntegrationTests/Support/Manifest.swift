/// Texts of manifests; `busybox` is the only image that is needed.
enum Manifest {
  static let image = "docker.io/library/busybox:1.36"

  /// A pod of one container that runs a shell script. `more` is added to the container, `spec` to the pod, both as YAML whose
  /// lines start at column 0.
  static func pod(_ name: String, _ script: String, container more: String = "", spec: String = "", metadata: String = "") -> String {
    """
    apiVersion: v1
    kind: Pod
    metadata:
      name: \(name)
    \(indent(metadata, 2))
    spec:
      terminationGracePeriodSeconds: 3
    \(indent(spec, 2))
      containers:
      - name: main
        image: \(image)
        command: ["sh", "-c", \(quoted(script))]
    \(indent(more, 4))
    """
  }

  /// Sleeps until it is told to end, and ends at once then.
  static let sleeper = "trap 'exit 0' TERM; sleep 1000000 & wait"

  static func indent(_ text: String, _ spaces: Int) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).map { String(repeating: " ", count: spaces) + $0 }.joined(separator: "\n")
  }

  private static func quoted(_ text: String) -> String {
    "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n") + "\""
  }
}
