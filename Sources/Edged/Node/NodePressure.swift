/// What the node runs short of.
struct NodePressure: Sendable, Hashable {
  var memory = false
  var disk = false
  var processIDs = false
}
