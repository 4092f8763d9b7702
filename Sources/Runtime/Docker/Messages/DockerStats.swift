/// The answer to `GET /containers/<id>/stats?stream=false`.
struct DockerStats: Decodable, Sendable {
  struct CPU: Decodable, Sendable {
    struct Usage: Decodable, Sendable {
      /// Nanoseconds over all cores.
      var total: UInt64?
      enum CodingKeys: String, CodingKey { case total = "total_usage" }
    }
    var usage: Usage?
    enum CodingKeys: String, CodingKey { case usage = "cpu_usage" }
  }

  struct Memory: Decodable, Sendable {
    var usage: UInt64?
    var limit: UInt64?
    /// The fields of the cgroup's memory.stat; cgroup v1 has the sums over sub-groups as `total_…`.
    var details: [String: UInt64]?
    enum CodingKeys: String, CodingKey {
      case usage
      case limit
      case details = "stats"
    }
  }

  var read: String
  var cpu: CPU?
  var memory: Memory?
  enum CodingKeys: String, CodingKey {
    case read
    case cpu = "cpu_stats"
    case memory = "memory_stats"
  }
}
