import KubernetesAPI

/// All that a node's status is made of.
struct NodeObservation: Sendable, Hashable {
  /// The container engine, as last asked.
  struct Engine: Sendable, Hashable {
    /// `containerd`
    var name = ""
    var version = ""
    var supplementalGroupsPolicy = false
    /// Why pods can't run now; empty if they can.
    var problems: [String] = []
  }

  var facts: NodeFacts
  var system: NodeSystem
  var engine = Engine()
  /// In any order; nil if they are not told.
  var images: [Image]?
  var pressure = NodePressure()
  /// What else keeps pods from running: storage, a shutdown that has begun.
  var problems: [String] = []
  /// Unique names of volumes that pods use and the cloud attached.
  var volumesInUse: [String] = []

  struct Image: Sendable, Hashable {
    var id: String
    var digests: [String]
    var tags: [String]
    var bytes: Int64
  }
}
