import CLinux
import Curl
import FoundationEssentials
import Glibc

extension DockerRuntime {
  public func imageStatus(_ reference: String) async throws -> CRIImage? {
    guard let image = try await inspectImage(reference, operation: "ImageStatus") else { return nil }
    return DockerImages.image(image, pinned: isPinned(image.repoTags))
  }

  /// nil when there is none, or when only the first digits of an image's id look like the name.
  func inspectImage(_ reference: String, operation: String) async throws -> DockerImage? {
    guard !reference.isEmpty else {
      throw RuntimeError(.invalidArgument, operation: operation, message: "the image's name is empty")
    }
    do {
      let image: DockerImage = try await api.get(operation, "/images/\(reference)/json")
      return DockerImages.matches(image, reference) ? image : nil
    } catch let error as RuntimeError where error.code == .notFound {
      return nil
    }
  }

  public func pullImage(_ reference: String, auth: CRIAuthConfig?, sandboxConfig: CRIPodSandboxConfig?) async throws -> String {
    let operation = "PullImage"
    guard let name = DockerImageReference(reference) else {
      throw RuntimeError(.invalidArgument, operation: operation, message: "\"\(reference)\" is no image's name")
    }
    var headers: [HTTPField] = []
    if let auth { headers.append(HTTPField("X-Registry-Auth", try DockerImages.registryAuth(auth))) }
    let query = [("fromImage", name.repository), ("tag", name.digest ?? name.tag ?? "latest")]
    do {
      let body = try await api.stream(operation, "POST", "/images/create", query: query, headers: headers)
      try await api.translating(operation) {
        var progress = DockerPull()
        for try await chunk in body { try progress.read(chunk) }
        try progress.finish()
      }
    } catch var error as RuntimeError {
      // Docker tells of the registry, and not of which image was wanted.
      error.message = "failed to pull image \"\(reference)\": \(error.message)"
      throw error
    }
    guard let image = try await inspectImage(pulledName(name), operation: operation) else {
      throw RuntimeError(.notFound, operation: operation, message: "the engine pulled \(name.text) but doesn't have it")
    }
    return image.id
  }

  /// With a digest, a tag only decorates the name, and the engine doesn't keep it.
  private func pulledName(_ name: DockerImageReference) -> String {
    name.digest.map { "\(name.repository)@\($0)" } ?? name.text
  }

  public func listImages() async throws -> [CRIImage] {
    let images: [DockerImageSummary] = try await api.get("ListImages", "/images/json")
    return images.map { DockerImages.image($0, pinned: isPinned($0.repoTags)) }
  }

  /// An image given by its id loses all its names; by a name, only that one.
  public func removeImage(_ reference: String) async throws {
    let operation = "RemoveImage"
    guard let image = try await inspectImage(reference, operation: operation) else { return }
    guard DockerImageReference.imageID(reference) != nil else { return try await deleteImage(reference) }
    // The engine refuses to remove an image of several names by its id.
    for name in DockerImages.tags(image.repoTags) + DockerImages.digests(image.repoDigests) { try await deleteImage(name) }
    try await deleteImage(image.id)
  }

  private func deleteImage(_ name: String) async throws {
    do {
      try await api.send("RemoveImage", "DELETE", "/images/\(name)")
    } catch let error as RuntimeError where error.code == .notFound {}
  }

  /// Used bytes are the sum of the images' sizes: layers that images share count for each of them. The engine's own count would
  /// walk over every container's files.
  public func imageFsInfo() async throws -> CRIImageFsInfoResponse {
    let operation = "ImageFsInfo"
    let info: DockerInfo = try await api.get(operation, "/info")
    let images: [DockerImageSummary] = try await api.get(operation, "/images/json")
    let root = info.rootDirectory ?? "/var/lib/docker"
    var clock = timespec()
    clock_gettime(CLOCK_REALTIME, &clock)
    var usage = CRIFilesystemUsage.with {
      $0.timestamp = Int64(clock.tv_sec) * 1_000_000_000 + Int64(clock.tv_nsec)
      $0.fsID.mountpoint = root
      $0.usedBytes = .with { $0.value = images.reduce(0) { $0 + $1.size } }
    }
    var filesystem = statvfs()
    if statvfs(root, &filesystem) == 0 {
      usage.inodesUsed = .with { $0.value = UInt64(filesystem.f_files) - UInt64(filesystem.f_ffree) }
    }
    return .with {
      $0.imageFilesystems = [usage]
      $0.containerFilesystems = [usage]
    }
  }

  private func isPinned(_ tags: [String]?) -> Bool {
    guard let pause = DockerImageReference(podSandboxImage)?.text else { return false }
    return DockerImages.tags(tags).contains(pause)
  }
}
