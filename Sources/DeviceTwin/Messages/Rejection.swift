/// Why a message about a device was refused. Codes and texts are KubeEdge's: applications look at them.
struct Rejection: Error, Sendable, Hashable {
  var code: Int
  var reason: String

  init(_ code: Int, _ reason: String) {
    self.code = code
    self.reason = reason
  }

  static let unreadable = Rejection(400, "Unmarshal update request body failed, please check the request")
  static let noTwin = Rejection(400, "Update twin error, key:twin does not exist")
  static let key = Rejection(400, "The key of twin must only include " + characters + "key should be less than 128 bytes")
  static let value = Rejection(400, "The value of twin must only include " + characters + "value should be less than 512 bytes")
  static let noTwinToDelete = Rejection(400, "the request body is wrong")
  static let notARequest = Rejection(400, "the request must be a JSON object; event_id is a text and timestamp a number")
  static let unknownDevice = Rejection(404, "update rejected due to the device is not existed")

  private static let characters =
    "upper or lowercase letters, number, english, and special letter - _ . , : / @ # and the length of "
}
