import Curl
import FoundationEssentials
import KubernetesAPI

/// `httpGet`: 200 to 399 is a success; a redirect to another host is one too, with a warning, since that host isn't asked.
struct HTTPProber: Sendable {
  let client: HTTPClient

  func attempt(_ url: URL, headers: [HTTPHeader], limit: Duration) async -> ProbeOutcome {
    let getter = HTTPGetter(client: client)
    let fields = HTTPGetter.headers(headers, userAgent: ProbeExecutor.userAgent)
    do {
      let reply = try await withTimeLimit(limit) { try await getter.get(url, headers: fields, limit: limit) }
      switch reply.status {
      case 200..<300: return .success()
      case 300..<400:
        return .warning("Probe terminated redirects, Response body: \(String(decoding: reply.body, as: UTF8.self))")
      default: return .failure("HTTP probe failed with statuscode: \(reply.status)")
      }
    } catch {
      return .failure(HTTPGetter.describe(error, url: url))
    }
  }
}
