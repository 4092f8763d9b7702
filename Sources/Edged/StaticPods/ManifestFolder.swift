import Glibc
import KubernetesAPI

/// The manifests at a path, a directory or one file, and the pods they make.
///
/// Only files that changed are read again. When a file turns bad, its pods stay as they were until it is good again: a slip
/// of the pen must not end what runs. A file that is removed takes its pods with it, after a moment in which editors put
/// another in its place.
struct ManifestFolder {
  private struct Entry {
    var identity: FileStatus
    var pods: [StaticPod] = []
    var problems: [ManifestProblem] = []
    var missingSince: ContinuousClock.Instant?
  }

  let path: String
  private let reader: ManifestReader
  private let removalDelay: Duration
  /// By name.
  private var files: [String: Entry] = [:]
  private var pathProblem: ManifestProblem?

  init(path: String, nodeName: String, removalDelay: Duration) {
    self.path = path
    self.removalDelay = removalDelay
    reader = ManifestReader(nodeName: nodeName)
  }

  /// Looks at all files.
  /// - Parameters:
  ///   - changed: names of files to read again even if they look the same.
  ///   - unfinished: names of files that somebody is writing now: they stay as they were.
  mutating func refresh(changed: Set<String>, unfinished: Set<String>, now: ContinuousClock.Instant) {
    pathProblem = nil
    var present: Set<String> = []
    do throws(FileError) {
      for (name, file) in try list() {
        guard let status = try FileSystem.status(file), status.kind == .file else { continue }
        present.insert(name)
        files[name]?.missingSince = nil
        if unfinished.contains(name) { continue }
        if let known = files[name], known.identity == status, !changed.contains(name) { continue }
        update(name, file, status)
      }
    } catch {
      pathProblem = ManifestProblem(file: path, line: nil, podName: nil, field: nil, message: error.description)
      return
    }
    for (name, file) in files where !present.contains(name) {
      let since = file.missingSince ?? now
      if now - since >= removalDelay { files[name] = nil } else { files[name]?.missingSince = since }
    }
  }

  /// When a file that vanished counts as removed, if nothing happens until then.
  var nextRemoval: ContinuousClock.Instant? { files.values.compactMap(\.missingSince).min().map { $0 + removalDelay } }

  var snapshot: StaticPodSnapshot {
    var pods: [StaticPod] = []
    var problems: [ManifestProblem] = pathProblem.map { [$0] } ?? []
    var owners: [String: String] = [:]
    for (_, file) in files.sorted(by: { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }) {
      problems += file.problems
      for pod in file.pods {
        let identities = [pod.pod.fullName, "uid " + pod.pod.uid]
        if let (identity, owner) = identities.lazy.compactMap({ name in owners[name].map { (name, $0) } }).first {
          problems.append(
            ManifestProblem(
              file: pod.file, line: pod.line, podName: pod.raw["metadata"]?["name"]?.string,
              field: identity == pod.pod.fullName ? "metadata.name" : "metadata.uid",
              message: "pod \(identity) is defined already in \(owner)"))
          continue
        }
        for identity in identities { owners[identity] = pod.file }
        pods.append(pod)
      }
    }
    return StaticPodSnapshot(pods: pods, problems: problems)
  }

  /// Names and paths of what could be a manifest. Hidden files and backups that editors leave are none.
  private func list() throws(FileError) -> [(name: String, path: String)] {
    guard let status = try FileSystem.status(path) else { return [] }
    if status.kind != .directory { return [(path.split(separator: "/").last.map(String.init) ?? path, path)] }
    return try FileSystem.list(path).filter { !$0.hasPrefix(".") && !$0.hasSuffix("~") }.map { ($0, path + "/" + $0) }
  }

  private mutating func update(_ name: String, _ file: String, _ status: FileStatus) {
    var outcome = ManifestReader.Outcome()
    do throws(FileError) {
      guard let bytes = try FileSystem.read(file, limit: ManifestReader.maximumBytes) else { return }
      outcome = reader.read(bytes, file: file)
    } catch {
      let message =
        error.code == EFBIG
        ? "the file has \(status.size) bytes; at most \(ManifestReader.maximumBytes) are allowed" : error.description
      outcome.problems = [ManifestProblem(file: file, line: nil, podName: nil, field: nil, message: message)]
    }
    let old = files[name]?.pods ?? []
    // A pod that didn't change stays the one that it is, with the time it was first seen.
    var pods = outcome.pods.map { new in old.first { $0.raw == new.raw && $0.pod.uid == new.pod.uid && $0.line == new.line } ?? new }
    if !outcome.problems.isEmpty {
      let defined = Set(pods.map(\.pod.fullName))
      pods += old.filter { !defined.contains($0.pod.fullName) }
    }
    files[name] = Entry(identity: status, pods: pods, problems: outcome.problems)
  }
}
