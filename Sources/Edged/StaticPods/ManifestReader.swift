import KubernetesAPI
import YAML

/// Turns the text of a manifest into pods.
struct ManifestReader: Sendable {
  static let maximumBytes = 10 << 20

  let nodeName: String

  struct Outcome {
    var pods: [StaticPod] = []
    var problems: [ManifestProblem] = []
  }

  /// Reads all documents of a file; each is judged on its own.
  func read(_ bytes: [UInt8], file: String) -> Outcome {
    var outcome = Outcome()
    do throws(YAMLError) {
      // A file that something cut to nothing isn't one from which somebody took the pods.
      if bytes.isEmpty { throw YAMLError(line: 0, column: 0, problem: "the file is empty; remove it to remove its pods") }
      for document in try YAML.documents(bytes, maximumBytes: Self.maximumBytes) where document.value != .null {
        read(document, file, &outcome)
      }
    } catch {
      outcome.problems.append(
        ManifestProblem(file: file, line: error.line > 0 ? error.line : nil, podName: nil, field: nil, message: error.problem))
    }
    return outcome
  }

  private func read(_ document: YAMLDocument, _ file: String, _ outcome: inout Outcome) {
    let name = document.value["metadata"]?["name"]?.string
    func problem(_ path: [PathComponent], _ message: String) -> ManifestProblem {
      // A field that is missing is told on the line of what it is missing in.
      var known = path
      while !known.isEmpty, document.line(of: known) == nil { known.removeLast() }
      let line = document.line(of: known) ?? document.startLine
      return ManifestProblem(file: file, line: line, podName: name, field: path.isEmpty ? nil : path.dotted, message: message)
    }
    do throws(DecodingFailure) {
      if let kind = Self.kindProblem(document.value) {
        outcome.problems.append(problem(kind.path, kind.message))
        return
      }
      var pod: Pod = try document.value.decode()
      PodDefaults.apply(to: &pod)
      let found = StaticPodReferences.problems(document.value) + PodValidation.problems(of: pod) + nameProblems(of: pod)
      outcome.problems += found.map { problem($0.path, $0.message) }
      guard found.isEmpty else { return }
      StaticPodIdentity(nodeName: nodeName, file: file).apply(to: &pod, document.value)
      outcome.pods.append(StaticPod(pod: pod, raw: document.value, file: file, line: document.startLine))
    } catch {
      outcome.problems.append(problem(error.path, error.problem))
    }
  }

  private static func kindProblem(_ value: JSONValue) -> FieldProblem? {
    guard value.object != nil else { return FieldProblem(path: [], message: "expected a pod, found \(value.kind)") }
    for (key, wanted) in [("apiVersion", "v1"), ("kind", "Pod")] {
      guard let found = value[key]?.string else { return FieldProblem(path: [.key(key)], message: "is missing: it must be \(wanted)") }
      if found != wanted { return FieldProblem(path: [.key(key)], message: "\"\(found)\" must be \(wanted)") }
    }
    return nil
  }

  /// The node's name becomes part of the pod's.
  private func nameProblems(of pod: Pod) -> [FieldProblem] {
    let name = StaticPodIdentity.name(of: pod.name, nodeName: nodeName)
    guard name.utf8.count > 253, pod.name.utf8.count <= 253 else { return [] }
    return [
      FieldProblem(
        path: [.key("metadata"), .key("name")],
        message: "\"\(name)\", with the node's name, has \(name.utf8.count) characters; at most 253 are allowed")
    ]
  }
}
