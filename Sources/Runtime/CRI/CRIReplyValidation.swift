/// Replies without which the agent can't go on. An engine that leaves them out is broken, and acting on an empty id is worse than
/// failing.
extension CRIPodSandboxStatus {
  func validated() throws(RuntimeError) -> CRIPodSandboxStatus {
    try require(
      "PodSandboxStatus",
      [
        (id.isEmpty, "id"), (metadata.name.isEmpty, "metadata.name"), (metadata.namespace.isEmpty, "metadata.namespace"),
        (metadata.uid.isEmpty, "metadata.uid"), (createdAt == 0, "created_at"),
      ])
    return self
  }
}

extension CRIContainerStatus {
  func validated() throws(RuntimeError) -> CRIContainerStatus {
    var isStateUnknown = false
    if case .UNRECOGNIZED = state { isStateUnknown = true }
    try require(
      "ContainerStatus",
      [
        (id.isEmpty, "id"), (metadata.name.isEmpty, "metadata.name"), (createdAt == 0, "created_at"), (image.image.isEmpty, "image"),
        (imageRef.isEmpty, "image_ref"), (isStateUnknown, "state"),
      ])
    return self
  }
}

extension CRIImage {
  func validated() throws(RuntimeError) -> CRIImage {
    try require("ImageStatus", [(id.isEmpty, "id"), (size == 0, "size")])
    return self
  }
}

extension String {
  func validated(_ operation: String, _ field: String) throws(RuntimeError) -> String {
    try require(operation, [(isEmpty, field)])
    return self
  }
}

private func require(_ operation: String, _ fields: [(isMissing: Bool, name: String)]) throws(RuntimeError) {
  let missing = fields.filter(\.isMissing).map(\.name)
  guard !missing.isEmpty else { return }
  throw RuntimeError(.internalError, operation: operation, message: "the engine's reply lacks \(missing.joined(separator: ", "))")
}
