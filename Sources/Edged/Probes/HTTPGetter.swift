import Curl
import FoundationEssentials
import KubernetesAPI

/// GETs as probes and hooks make them: a connection of their own, no verification of certificates, redirects only within the
/// host, and no more than `bodyLimit` bytes of the answer.
struct HTTPGetter: Sendable {
  let client: HTTPClient

  struct Reply: Sendable {
    /// A 3xx here is a redirect that wasn't followed.
    var status: Int
    var body: [UInt8]
  }

  static let bodyLimit = ProbeOutcome.outputLimit
  static let requestLimit = 10

  func get(_ url: URL, headers: [HTTPField], limit: Duration?) async throws -> Reply {
    var url = url
    var headers = headers
    for _ in 1...Self.requestLimit {
      var request = HTTPRequest("GET", url.absoluteString, headers: headers)
      request.tls.verifiesPeer = false
      request.isolatesConnection = true
      request.timeout = limit
      request.connectTimeout = limit
      let response = try await client.execute(request)
      guard let redirect = Self.redirect(of: response, from: url) else {
        return Reply(status: response.status, body: try await Self.start(of: response.body))
      }
      // The name that stood for the first URL says nothing about an absolute one.
      if redirect.isAbsolute { headers.removeAll { $0.name.lowercased() == "host" } }
      url = redirect.url
    }
    throw HTTPGetterError.tooManyRedirects
  }

  /// The headers of a request: the given ones, and what stands in for those that aren't given.
  static func headers(_ given: [HTTPHeader], userAgent: String) -> [HTTPField] {
    var fields = given.map { HTTPField($0.name, $0.value) }
    for standIn in [HTTPField("User-Agent", userAgent), HTTPField("Accept", "*/*")] {
      switch fields.first(named: standIn.name) {
      case nil: fields.append(standIn)
      // An empty value asks for no header at all.
      case "": fields.removeAll { $0.name.lowercased() == standIn.name.lowercased() }
      default: break
      }
    }
    return fields
  }

  /// What went wrong with a request. A URL's query may hold a secret, so it is left out.
  static func describe(_ error: any Error, url: URL) -> String {
    if let error = error as? HTTPError { return "\(error)" }
    return "GET \(url.absoluteString.prefix { $0 != "?" && $0 != "#" }): \(error)"
  }

  private static func redirect(of response: HTTPResponse, from url: URL) -> (url: URL, isAbsolute: Bool)? {
    guard [301, 302, 303, 307, 308].contains(response.status), let location = response.header("Location"), !location.isEmpty,
      let parsed = URL(string: location), let target = URL(string: location, relativeTo: url)?.absoluteURL,
      target.host()?.lowercased() == url.host()?.lowercased(), ["http", "https"].contains(target.scheme?.lowercased() ?? "")
    else { return nil }
    return (target, parsed.host() != nil)
  }

  private static func start(of body: HTTPResponseBody) async throws -> [UInt8] {
    var bytes: [UInt8] = []
    for try await chunk in body {
      bytes += chunk.prefix(bodyLimit - bytes.count)
      if bytes.count >= bodyLimit { break }
    }
    return bytes
  }
}

enum HTTPGetterError: Error, Sendable, CustomStringConvertible {
  case tooManyRedirects

  var description: String { "stopped after \(HTTPGetter.requestLimit) redirects" }
}
