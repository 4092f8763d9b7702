extension CRIRuntime {
  public func imageStatus(_ reference: String) async throws -> CRIImage? {
    var request = CRIImageStatusRequest()
    request.image.image = reference
    let reply: CRIImageStatusResponse = try await call(.image, "ImageStatus", request, timeout: requestTimeout)
    return reply.hasImage ? try reply.image.validated() : nil
  }

  public func pullImage(_ reference: String, auth: CRIAuthConfig?, sandboxConfig: CRIPodSandboxConfig?) async throws -> String {
    var request = CRIPullImageRequest()
    request.image.image = reference
    if let auth { request.auth = auth }
    if let sandboxConfig { request.sandboxConfig = sandboxConfig }
    let reply: CRIPullImageResponse = try await call(.image, "PullImage", request, timeout: nil)
    return try reply.imageRef.validated("PullImage", "image_ref")
  }

  public func listImages() async throws -> [CRIImage] {
    try await call(.image, "ListImages", CRIListImagesRequest(), timeout: requestTimeout, reply: CRIListImagesResponse.self).images
  }

  public func removeImage(_ reference: String) async throws {
    var request = CRIRemoveImageRequest()
    request.image.image = reference
    try await callUnlessGone("RemoveImage", request, of: .image)
  }

  public func imageFsInfo() async throws -> CRIImageFsInfoResponse {
    try await call(.image, "ImageFsInfo", CRIImageFsInfoRequest(), timeout: requestTimeout)
  }
}
