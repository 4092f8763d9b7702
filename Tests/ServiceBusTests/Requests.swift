import HTTPServer

/// A request as the server would make it.
func request(host: String = "10.0.0.7:9060", address: String = "10.0.0.9", isOnThisHost: Bool) -> ServerRequest {
  ServerRequest(
    method: "POST", target: "/", headers: [("Host", host)], body: [],
    peer: .init(address: address, isOnThisHost: isOnThisHost))
}
