import KubernetesAPI

/// A pod at length, laid out as `kubectl describe pod` does.
struct PodDescription {
  var pod: Pod
  var events: [Event]

  var text: String {
    var lines: [String] = []
    func line(_ key: String, _ value: String, indent: Int = 0) {
      let prefix = String(repeating: " ", count: indent) + key + ":"
      lines.append(prefix + String(repeating: " ", count: max(1, 18 + indent - prefix.count)) + value)
    }
    let status = pod.status ?? PodStatus()
    line("Name", pod.name)
    line("Namespace", pod.namespace)
    line("UID", pod.uid)
    line("Node", "\(pod.spec.nodeName ?? "")/\(status.hostIP ?? "")")
    line("Start Time", status.startTime?.description ?? "<unknown>")
    line("Labels", map(pod.metadata.labels))
    line("Annotations", map(pod.metadata.annotations))
    line("Status", status.phase?.rawValue ?? "Pending")
    if let reason = status.reason { line("Reason", reason) }
    if let message = status.message { line("Message", message) }
    line("IP", status.podIP ?? "")
    line("QoS Class", status.qosClass?.rawValue ?? "")
    if let initial = pod.spec.initContainers, !initial.isEmpty {
      lines.append("Init Containers:")
      lines += containers(initial, status.initContainerStatuses)
    }
    lines.append("Containers:")
    lines += containers(pod.spec.containers, status.containerStatuses)
    lines.append("Conditions:")
    for condition in status.conditions ?? [] {
      let why = [condition.reason, condition.message].compactMap { $0 }.joined(separator: ": ")
      line(condition.type, condition.status + (why.isEmpty ? "" : "  (\(why))"), indent: 2)
    }
    if let volumes = pod.spec.volumes, !volumes.isEmpty {
      lines.append("Volumes:")
      for volume in volumes { line(volume.name, kind(of: volume), indent: 2) }
    }
    lines.append("Events:" + (events.isEmpty ? "  <none>" : ""))
    if !events.isEmpty {
      var table = Table("  TYPE", "REASON", "AGE", "COUNT", "MESSAGE")
      for event in events {
        table.add(
          "  \(event.type ?? "")", event.reason ?? "", age(of: event.lastTimestamp), "\(event.count ?? 1)", event.message ?? "")
      }
      lines.append(table.text)
    }
    return lines.joined(separator: "\n")
  }

  private func containers(_ containers: [Container], _ statuses: [ContainerStatus]?) -> [String] {
    var lines: [String] = []
    func line(_ key: String, _ value: String) {
      let prefix = "    \(key):"
      lines.append(prefix + String(repeating: " ", count: max(1, 22 - prefix.count)) + value)
    }
    for container in containers {
      lines.append("  \(container.name):")
      let status = statuses?.first { $0.name == container.name }
      line("Container ID", status?.containerID ?? "")
      line("Image", container.image ?? "")
      line("Image ID", status?.imageID ?? "")
      if let command = container.command { line("Command", command.joined(separator: " ")) }
      if let args = container.args { line("Args", args.joined(separator: " ")) }
      if let ports = container.ports, !ports.isEmpty {
        line("Ports", ports.map { "\($0.containerPort)/\($0.protocol ?? "TCP")" }.joined(separator: ", "))
      }
      for (title, state) in [("State", status?.state), ("Last State", status?.lastState)] {
        for text in lineTexts(state) { line(text.0 ?? title, text.1) }
      }
      line("Ready", status?.ready == true ? "True" : "False")
      line("Restart Count", "\(status?.restartCount ?? 0)")
      for (title, amounts) in [("Limits", container.resources?.limits), ("Requests", container.resources?.requests)] {
        guard let amounts, !amounts.isEmpty else { continue }
        line(title, amounts.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: ", "))
      }
      for mount in container.volumeMounts ?? [] {
        line("Mount", "\(mount.mountPath) from \(mount.name) (\(mount.readOnly == true ? "ro" : "rw"))")
      }
    }
    return lines
  }

  private func lineTexts(_ state: ContainerState?) -> [(String?, String)] {
    if let waiting = state?.waiting {
      return [(nil, "Waiting (\(waiting.reason ?? ""))")] + (waiting.message.map { [("  Message", $0)] } ?? [])
    }
    if let running = state?.running { return [(nil, "Running since \(running.startedAt?.description ?? "")")] }
    guard let ended = state?.terminated else { return [] }
    var texts: [(String?, String)] = [(nil, "Terminated (\(ended.reason ?? "")), exit code \(ended.exitCode)")]
    if let message = ended.message { texts.append(("  Message", message)) }
    texts.append(("  From", "\(ended.startedAt?.description ?? "") to \(ended.finishedAt?.description ?? "")"))
    return texts
  }

  private func kind(of volume: Volume) -> String {
    if let source = volume.emptyDir { return "EmptyDir (medium: \(source.medium ?? ""), limit: \(source.sizeLimit?.text ?? "<unset>"))" }
    if let source = volume.hostPath { return "HostPath \(source.path) \(source.type ?? "")" }
    if volume.downwardAPI != nil { return "DownwardAPI" }
    if volume.projected != nil { return "Projected" }
    if let source = volume.configMap { return "ConfigMap \(source.name ?? "")" }
    if let source = volume.secret { return "Secret \(source.secretName ?? "")" }
    if let source = volume.persistentVolumeClaim { return "PersistentVolumeClaim \(source.claimName)" }
    return "unknown"
  }

  private func map(_ values: [String: String]?) -> String {
    guard let values, !values.isEmpty else { return "<none>" }
    return values.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "\n                  ")
  }
}
