/// Which connection a request may go over.
///
/// Debian's libcurl 7.88.1 can't send a second request with "HTTP/2 prior knowledge" over the same connection: it would start the
/// protocol once more in the middle of it. So the first request opens a connection with prior knowledge, and the ones after it ask
/// for plain HTTP/2, which joins what is open. Where libcurl would connect anew for one of those (the peer has restarted, or all
/// streams are taken), the attempt is given up before anything is sent and becomes an opening one.
enum ConnectionChoice: Equatable {
  /// Whatever libcurl chooses: HTTP/1.1, or HTTP/2 agreed on during the TLS handshake.
  case any
  /// A new one.
  case opens(generation: Int)
  /// Only one that is open, or is being opened.
  case joins(generation: Int)

  var joins: Bool {
    if case .joins = self { true } else { false }
  }

  var generation: Int? {
    switch self {
    case .any: nil
    case .opens(let generation), .joins(let generation): generation
    }
  }
}

/// The current generation of shared HTTP/2 connections for each peer.
struct ConnectionGenerations {
  private var current: [String: Int] = [:]
  private var last = 0

  mutating func choose(for request: HTTPRequest) -> ConnectionChoice {
    guard request.version == .http2PriorKnowledge, !request.isTLS else { return .any }
    if request.isolatesConnection {
      last += 1
      return .opens(generation: last)
    }
    if let generation = current[request.peer] { return .joins(generation: generation) }
    return open(request.peer)
  }

  /// The choice after `choice` has found nothing to join. Of all that wait for one connection the first one replaces it.
  mutating func choose(for request: HTTPRequest, after choice: ConnectionChoice) -> ConnectionChoice {
    if let generation = current[request.peer], generation != choice.generation { return .joins(generation: generation) }
    return open(request.peer)
  }

  private mutating func open(_ peer: String) -> ConnectionChoice {
    last += 1
    current[peer] = last
    return .opens(generation: last)
  }
}

extension HTTPRequest {
  var isTLS: Bool { url.utf8.count > 6 && url.prefix(6).lowercased() == "https:" }

  fileprivate var peer: String { unixSocketPath ?? URLParts(url).authority }
}
