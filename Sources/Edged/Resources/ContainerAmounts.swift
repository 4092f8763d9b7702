import KubernetesAPI

/// Amounts of resources by name.
typealias ResourceList = [String: Quantity]

extension [String: Quantity] {
  mutating func add(_ other: ResourceList) {
    for (name, amount) in other { self[name] = self[name].map { $0.adding(amount) } ?? amount }
  }

  mutating func raise(to other: ResourceList) {
    for (name, amount) in other { self[name] = self[name].map { Swift.max($0, amount) } ?? amount }
  }
}

extension Quantity {
  /// Saturates at the limits of what a quantity can hold.
  func adding(_ other: Quantity) -> Quantity { sum(of: milliValue.addingReportingOverflow(other.milliValue), other.milliValue > 0) }

  /// Not below zero.
  func reduced(by other: Quantity) -> Quantity {
    let difference = sum(of: milliValue.subtractingReportingOverflow(other.milliValue), other.milliValue < 0)
    return difference.milliValue < 0 ? Quantity(value: 0) : difference
  }

  private func sum(of result: (partialValue: Int64, overflow: Bool), _ upward: Bool) -> Quantity {
    Quantity(milliValue: result.overflow ? (upward ? .max : .min) : result.partialValue)
  }
}

extension Container {
  /// Limits by resource name.
  var limits: ResourceList { resources?.limits ?? [:] }

  /// What the container asks for; a limit without a request is one, as the API defaults it.
  var requests: ResourceList { (resources?.requests ?? [:]).merging(limits) { request, _ in request } }

  /// Whether, as an init container, it keeps running beside the regular ones.
  var isSidecar: Bool { restartPolicy == .always }
}
