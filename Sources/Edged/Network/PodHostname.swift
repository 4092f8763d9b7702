import KubernetesAPI

/// The name a pod has within itself and in cluster DNS.
struct PodHostname: Sendable, Hashable {
  var hostname: String
  /// `<subdomain>.<namespace>.svc.<cluster domain>`, or empty.
  var domain: String
  /// What `hostname` prints in the pod; empty for pods in the host's network, which have the host's.
  var kernelName: String

  struct Invalid: Error, Sendable, Hashable, CustomStringConvertible {
    var description: String
  }

  static let maximumLength = 63
  /// The kernel holds no longer name.
  static let maximumKernelLength = 64

  init(_ pod: Pod, clusterDomain: String) throws(Invalid) {
    let spec = pod.spec
    var hostname = spec.hostname ?? ""
    var domain = ""
    if let override = spec.hostnameOverride, !override.isEmpty {
      hostname = override
    } else {
      if hostname.isEmpty {
        hostname = pod.name
      } else if let problem = Self.labelProblem(hostname) {
        throw Invalid(description: "pod Hostname \"\(hostname)\" is not a valid DNS label: \(problem)")
      }
      hostname = try Self.truncate(hostname, pod: pod.name)
      if let subdomain = spec.subdomain, !subdomain.isEmpty {
        if let problem = Self.labelProblem(subdomain) {
          throw Invalid(description: "pod Subdomain \"\(subdomain)\" is not a valid DNS label: \(problem)")
        }
        domain = "\(subdomain).\(pod.namespace).svc.\(clusterDomain)"
      }
    }
    self.hostname = hostname
    self.domain = domain
    self.kernelName = hostname
    if spec.hostNetwork == true {
      self.kernelName = ""
    } else if spec.setHostnameAsFQDN == true, !domain.isEmpty {
      let name = "\(hostname).\(domain)"
      guard name.utf8.count <= Self.maximumKernelLength else {
        throw Invalid(
          description: "failed to construct FQDN from pod hostname and cluster domain, FQDN \(name) is too long "
            + "(\(Self.maximumKernelLength) characters is the max, \(name.utf8.count) characters requested)")
      }
      self.kernelName = name
    }
  }

  private static func truncate(_ hostname: String, pod: String) throws(Invalid) -> String {
    guard hostname.utf8.count > maximumLength else { return hostname }
    var truncated = Substring(hostname).prefix(maximumLength)
    while let last = truncated.last, last == "-" || last == "." { truncated.removeLast() }
    guard !truncated.isEmpty else { throw Invalid(description: "hostname for pod \"\(pod)\" was invalid: \"\(hostname)\"") }
    return String(truncated)
  }

  /// Why the text is no label of a DNS name; nil if it is one.
  private static func labelProblem(_ text: String) -> String? {
    let alphanumeric: (UInt8) -> Bool = { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) }
    var problems: [String] = []
    if text.utf8.count > maximumLength { problems.append("must be no more than 63 characters") }
    let middleIsValid = text.utf8.allSatisfy { alphanumeric($0) || $0 == UInt8(ascii: "-") }
    if !middleIsValid || !(text.utf8.first.map(alphanumeric) ?? false) || !(text.utf8.last.map(alphanumeric) ?? false) {
      problems.append(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an "
          + "alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')")
    }
    return problems.isEmpty ? nil : problems.joined(separator: ";")
  }
}
