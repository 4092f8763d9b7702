/// A response whose head has arrived; its body streams.
public struct HTTPResponse: Sendable {
  public var status: Int
  public var headers: [HTTPField]
  public var body: HTTPResponseBody

  /// The first header of that name.
  public func header(_ name: String) -> String? { headers.first(named: name) }
}

extension [HTTPField] {
  /// The first value of that name, compared without case.
  public func first(named name: String) -> String? {
    first { $0.name.utf8.count == name.utf8.count && $0.name.lowercased() == name.lowercased() }?.value
  }
}
