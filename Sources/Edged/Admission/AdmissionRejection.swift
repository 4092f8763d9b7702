/// Why the node doesn't take a pod: its status becomes Failed with that reason, and the event has it too.
struct AdmissionRejection: Sendable, Hashable {
  /// `SysctlForbidden`, `AppArmor`, `OutOfcpu`, `NodeAffinity`, `NodePorts`, …
  var reason: String
  /// Without the words `Pod was rejected: ` that a status has before it.
  var message: String
  /// What the node lacks, if nothing else is in the way: then the end of other pods would help.
  var shortfalls: [ResourceShortfall] = []

  /// What a status says.
  var statusMessage: String { "Pod was rejected: \(message)" }

  /// A rule on which nodes a pod may be placed on is broken.
  static func predicate(_ name: String, _ why: String) -> AdmissionRejection {
    AdmissionRejection(reason: name, message: "Predicate \(name) failed: \(why)")
  }
}
