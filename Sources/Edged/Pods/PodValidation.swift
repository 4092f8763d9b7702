import KubernetesAPI

/// Finds everything that is wrong with a pod, as the API server would, for pods that don't come from it.
///
/// It expects defaults to be filled in.
public struct PodValidation {
  let pod: Pod
  private(set) var problems: [FieldProblem] = []

  /// All problems, in the order of the fields that are checked; empty if the pod can be run.
  public static func problems(of pod: Pod) -> [FieldProblem] {
    var validation = PodValidation(pod: pod)
    validation.checkMetadata(FieldPath()["metadata"])
    validation.checkSpec(FieldPath()["spec"])
    return validation.problems
  }

  private init(pod: Pod) { self.pod = pod }

  mutating func add(_ path: FieldPath, _ message: String) { problems.append(FieldProblem(path: path.components, message: message)) }

  /// Notes what a rule for names has to say about a value.
  mutating func check(_ path: FieldPath, _ value: String, _ rule: (String) -> String?) {
    if let problem = rule(value) { add(path, value.isEmpty ? "is missing: it \(problem)" : "\"\(value)\" \(problem)") }
  }

  mutating func check(_ path: FieldPath, _ value: String?, oneOf allowed: [String]) {
    guard let value, !allowed.contains(value) else { return }
    add(path, "\"\(value)\" is unknown; allowed are \(allowed.map { $0.isEmpty ? "\"\"" : $0 }.joined(separator: ", "))")
  }

  mutating func check<Number: BinaryInteger>(_ path: FieldPath, _ value: Number?, in range: ClosedRange<Number>) {
    guard let value, !range.contains(value) else { return }
    add(path, "\(value) is not in the range \(range.lowerBound) to \(range.upperBound)")
  }

  mutating func check<Number: BinaryInteger>(_ path: FieldPath, _ value: Number?, atLeast minimum: Number) {
    guard let value, value < minimum else { return }
    add(path, "\(value) is too small: at least \(minimum)")
  }

  mutating func checkRelative(_ path: FieldPath, _ value: String) {
    if value.hasPrefix("/") { add(path, "\"\(value)\" must be a relative path") }
    checkNoWayUp(path, value)
  }

  mutating func checkNoWayUp(_ path: FieldPath, _ value: String) {
    if value.split(separator: "/").contains("..") { add(path, "\"\(value)\" must not contain \"..\"") }
  }

  /// Exactly one of several fields must be set.
  mutating func checkOne(_ path: FieldPath, of fields: [(name: String, isSet: Bool)], what: String) {
    let set = fields.filter(\.isSet).map(\.name)
    if set.count == 1 { return }
    let allowed = fields.map(\.name).joined(separator: ", ")
    add(path, set.isEmpty ? "needs a \(what), one of \(allowed)" : "has more than one \(what): \(set.joined(separator: ", "))")
  }

  private mutating func checkMetadata(_ path: FieldPath) {
    let metadata = pod.metadata
    check(path["name"], metadata.name ?? "", NameRules.subdomain)
    check(path["namespace"], metadata.namespace ?? "", NameRules.label)
    if let uid = metadata.uid, !uid.isEmpty { check(path["uid"], uid, NameRules.uid) }
    for (key, value) in (metadata.labels ?? [:]).sorted(by: { $0.key < $1.key }) {
      check(path["labels"][key], key, NameRules.qualified)
      check(path["labels"][key], value, NameRules.labelValue)
    }
    var size = 0
    for (key, value) in (metadata.annotations ?? [:]).sorted(by: { $0.key < $1.key }) {
      check(path["annotations"][key], key.lowercased(), NameRules.qualified)
      size += key.utf8.count + value.utf8.count
    }
    if size > 256 << 10 { add(path["annotations"], "have \(size) bytes together; at most \(256 << 10) are allowed") }
  }

  private mutating func checkSpec(_ path: FieldPath) {
    let spec = pod.spec
    check(path["terminationGracePeriodSeconds"], spec.terminationGracePeriodSeconds, atLeast: 0)
    check(path["activeDeadlineSeconds"], spec.activeDeadlineSeconds, in: 1...Int64(Int32.max))
    checkNetwork(path)
    checkPodSecurity(path)
    checkResources(path["resources"], spec.resources)
    checkVolumes(path["volumes"])
    checkContainers(path)
    check(path["os"]["name"], spec.os?.name, oneOf: ["linux"])
    for (index, toleration) in (spec.tolerations ?? []).enumerated() {
      let path = path["tolerations"][index]
      check(path["operator"], toleration.operator, oneOf: ["", "Exists", "Equal", "Lt", "Gt"])
      check(path["effect"], toleration.effect, oneOf: ["", "NoSchedule", "PreferNoSchedule", "NoExecute"])
      if toleration.operator == "Exists", toleration.value?.isEmpty == false {
        add(path["value"], "must be empty where the operator is Exists")
      }
    }
  }

  private mutating func checkNetwork(_ path: FieldPath) {
    let spec = pod.spec
    if let hostname = spec.hostname, !hostname.isEmpty { check(path["hostname"], hostname, NameRules.label) }
    if let subdomain = spec.subdomain, !subdomain.isEmpty { check(path["subdomain"], subdomain, NameRules.label) }
    for (index, alias) in (spec.hostAliases ?? []).enumerated() {
      check(path["hostAliases"][index]["ip"], alias.ip, NameRules.address)
      for (place, name) in (alias.hostnames ?? []).enumerated() {
        check(path["hostAliases"][index]["hostnames"][place], name, NameRules.subdomain)
      }
    }
    let dns = path["dnsConfig"]
    let servers = spec.dnsConfig?.nameservers ?? []
    for (index, server) in servers.enumerated() { check(dns["nameservers"][index], server, NameRules.address) }
    if servers.count > 3 { add(dns["nameservers"], "has \(servers.count) entries; at most 3 are allowed") }
    let searches = spec.dnsConfig?.searches ?? []
    if searches.count > 32 { add(dns["searches"], "has \(searches.count) entries; at most 32 are allowed") }
    let searchLength = searches.joined(separator: " ").utf8.count
    if searchLength > 2048 { add(dns["searches"], "has \(searchLength) characters together; at most 2048 are allowed") }
    for (index, option) in (spec.dnsConfig?.options ?? []).enumerated() where (option.name ?? "").isEmpty {
      add(dns["options"][index]["name"], "is missing")
    }
    if spec.dnsPolicy == DNSPolicy.none, servers.isEmpty { add(dns["nameservers"], "needs at least one entry where dnsPolicy is None") }
  }
}
