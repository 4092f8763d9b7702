import KubernetesAPI
import YAML

/// Objects as kubectl shows them.
enum ObjectTable {
  static func text(_ objects: [JSONValue], connected: [String]) -> String {
    guard let kind = objects.first?["kind"]?.string else { return "nothing found" }
    let rows: [[String]]
    switch kind {
    case "Pod":
      rows =
        [["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE"]]
        + objects.map { pod in
          [
            metadata(pod, "namespace"), metadata(pod, "name"), ready(pod), state(pod), restarts(pod), age(pod),
            pod["status"]?["podIP"]?.string ?? "-", pod["spec"]?["nodeName"]?.string ?? "-",
          ]
        }
    case "Node":
      rows =
        [["NAME", "STATUS", "LINK", "AGE", "VERSION"]]
        + objects.map { node in
          let name = metadata(node, "name")
          let conditions = node["status"]?["conditions"]?.array ?? []
          let isReady = conditions.contains { $0["type"]?.string == "Ready" && $0["status"]?.string == "True" }
          return [
            name, isReady ? "Ready" : "NotReady", connected.contains(name) ? "connected" : "-", age(node),
            node["status"]?["nodeInfo"]?["kubeletVersion"]?.string ?? "-",
          ]
        }
    case "Event":
      rows =
        [["LAST", "TYPE", "REASON", "OBJECT", "COUNT", "MESSAGE"]]
        + objects.sorted { ($0["lastTimestamp"]?.string ?? "") < ($1["lastTimestamp"]?.string ?? "") }.map { event in
          let object = event["involvedObject"]
          return [
            age(event["lastTimestamp"]?.string), event["type"]?.string ?? "", event["reason"]?.string ?? "",
            "\((object?["kind"]?.string ?? "").lowercased())/\(object?["name"]?.string ?? "")",
            String(event["count"]?.int ?? 1), event["message"]?.string ?? "",
          ]
        }
    default:
      rows =
        [["NAMESPACE", "NAME", "VERSION", "AGE"]]
        + objects.map { [metadata($0, "namespace"), metadata($0, "name"), metadata($0, "resourceVersion"), age($0)] }
    }
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
    return rows.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 3)
      }.joined()
    }.joined(separator: "\n")
  }

  private static func metadata(_ object: JSONValue, _ key: String) -> String { object["metadata"]?[key]?.string ?? "" }

  private static func age(_ object: JSONValue) -> String { age(object["metadata"]?["creationTimestamp"]?.string) }

  private static func age(_ time: String?) -> String {
    guard let time = time.flatMap({ Timestamp($0) }) else { return "-" }
    let seconds = max(0, Timestamp.now.seconds - time.seconds)
    switch seconds {
    case ..<120: return "\(seconds)s"
    case ..<7200: return "\(seconds / 60)m"
    case ..<172_800: return "\(seconds / 3600)h"
    default: return "\(seconds / 86_400)d"
    }
  }

  // MARK: Pods

  private static func statuses(_ pod: JSONValue) -> [JSONValue] { pod["status"]?["containerStatuses"]?.array ?? [] }

  private static func ready(_ pod: JSONValue) -> String {
    "\(statuses(pod).count { $0["ready"]?.bool == true })/\(pod["spec"]?["containers"]?.array?.count ?? 0)"
  }

  private static func restarts(_ pod: JSONValue) -> String {
    String(statuses(pod).reduce(0) { $0 + ($1["restartCount"]?.int ?? 0) })
  }

  private static func state(_ pod: JSONValue) -> String {
    if pod["metadata"]?["deletionTimestamp"]?.string != nil { return "Terminating" }
    let phase = pod["status"]?["phase"]?.string ?? "Pending"
    let initial = pod["status"]?["initContainerStatuses"]?.array ?? []
    for (index, status) in initial.enumerated() where phase == "Pending" {
      if status["state"]?["terminated"]?["exitCode"]?.int == 0 || status["started"]?.bool == true { continue }
      let reason = status["state"]?["waiting"]?["reason"]?.string ?? status["state"]?["terminated"]?["reason"]?.string
      if let reason, reason != "PodInitializing" { return "Init:\(reason)" }
      return "Init:\(index)/\(initial.count)"
    }
    for status in statuses(pod) {
      if let reason = status["state"]?["waiting"]?["reason"]?.string { return reason }
      if let reason = status["state"]?["terminated"]?["reason"]?.string { return reason }
    }
    return pod["status"]?["reason"]?.string ?? phase
  }
}
