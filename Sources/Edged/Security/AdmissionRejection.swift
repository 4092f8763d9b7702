/// Why the node doesn't take a pod: its status becomes Failed with that reason, and the event has it too.
struct AdmissionRejection: Sendable, Hashable {
  /// `SysctlForbidden`, `AppArmor`, `NodePorts`, …
  var reason: String
  /// Without the words `Pod was rejected: ` that a status has before it.
  var message: String
}
