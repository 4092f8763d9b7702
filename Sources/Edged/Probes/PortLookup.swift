import KubernetesAPI

/// Finds the number of a port that probes and hooks may give by name.
enum PortLookup {
  static func number(of port: IntOrString, in container: Container) throws(PortLookupError) -> Int {
    switch port {
    case .int(let number):
      guard (1...65535).contains(number) else { throw .invalid(port) }
      return Int(number)
    case .string(let name):
      if let named = container.ports?.first(where: { $0.name == name }) { return Int(named.containerPort) }
      guard let number = Int32(name) else { throw .unknownName(name, container: container.name) }
      return try self.number(of: .int(number), in: container)
    }
  }
}

enum PortLookupError: Error, Sendable, Hashable, CustomStringConvertible {
  case invalid(IntOrString)
  case unknownName(String, container: String)
  case noAddress

  var description: String {
    switch self {
    case .invalid(let port): "invalid port number \(port), allowed are 1 to 65535"
    case .unknownName(let name, let container): "container \(container) has no port named \"\(name)\""
    case .noAddress: "the pod has no address yet"
    }
  }
}
