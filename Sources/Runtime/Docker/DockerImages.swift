import FoundationEssentials

/// Images in CRI's words.
enum DockerImages {
  static func tags(_ tags: [String]?) -> [String] { (tags ?? []).compactMap { DockerImageReference($0)?.text } }
  static func digests(_ digests: [String]?) -> [String] {
    (digests ?? []).compactMap { DockerImageReference($0) }.filter { $0.digest != nil }.map(\.text)
  }

  static func image(_ image: DockerImage, pinned: Bool) -> CRIImage {
    var result = CRIImage.with {
      $0.id = image.id
      $0.repoTags = tags(image.repoTags)
      $0.repoDigests = digests(image.repoDigests)
      $0.size = image.size
      $0.pinned = pinned
    }
    // `user:group`; nobody stands for root.
    let user = (image.config?.user ?? "").split(separator: ":", omittingEmptySubsequences: false).first.map(String.init) ?? ""
    if let uid = user.isEmpty ? 0 : Int64(user) {
      result.uid = .with { $0.value = uid }
    } else {
      result.username = user
    }
    return result
  }

  static func image(_ summary: DockerImageSummary, pinned: Bool) -> CRIImage {
    .with {
      $0.id = summary.id
      $0.repoTags = tags(summary.repoTags)
      $0.repoDigests = digests(summary.repoDigests)
      $0.size = summary.size
      $0.pinned = pinned
    }
  }

  /// Whether the image was found by its name: Docker also takes the first digits of an id for an image's name.
  static func matches(_ image: DockerImage, _ text: String) -> Bool {
    if let id = DockerImageReference.imageID(text) { return image.id == "sha256:\(id)" }
    guard let reference = DockerImageReference(text) else { return false }
    if let digest = reference.digest {
      let wanted = "\(reference.repository)@\(digest)"
      return digests(image.repoDigests).contains(wanted) || image.id == digest
    }
    return tags(image.repoTags).contains(reference.text)
  }

  /// The header `X-Registry-Auth`: padded URL-safe base64 of JSON.
  static func registryAuth(_ auth: CRIAuthConfig) throws -> String {
    var registry = DockerRegistryAuth()
    registry.username = auth.username.isEmpty ? nil : auth.username
    registry.password = auth.password.isEmpty ? nil : auth.password
    registry.serverAddress = auth.serverAddress.isEmpty ? nil : auth.serverAddress
    registry.identityToken = auth.identityToken.isEmpty ? nil : auth.identityToken
    registry.registryToken = auth.registryToken.isEmpty ? nil : auth.registryToken
    if registry.username == nil, let (username, password) = credentials(auth.auth) {
      registry.username = username
      registry.password = password
    }
    let encoded = try JSONEncoder().encode(registry).base64EncodedString()
    return String(decoding: encoded.utf8.map { $0 == 0x2B ? 0x2D : $0 == 0x2F ? 0x5F : $0 }, as: UTF8.self)
  }

  /// base64 of `user:password`, padded or not.
  private static func credentials(_ auth: String) -> (String, String)? {
    guard !auth.isEmpty else { return nil }
    let padded = auth + String(repeating: "=", count: (4 - auth.utf8.count % 4) % 4)
    guard let data = Data(base64Encoded: padded) else { return nil }
    let parts = String(decoding: data, as: UTF8.self).split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
  }
}
