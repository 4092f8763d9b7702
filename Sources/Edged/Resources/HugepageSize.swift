import KubernetesAPI

/// A size of huge pages that the kernel offers.
struct HugepageSize: Sendable, Hashable {
  var bytes: Int64

  init(bytes: Int64) { self.bytes = bytes }

  /// Of a resource's name: `hugepages-2Mi`.
  init?(resource: String) {
    guard resource.hasPrefix("hugepages-"), let size = Quantity(String(resource.dropFirst("hugepages-".count))), size.value > 0 else {
      return nil
    }
    self.bytes = size.value
  }

  /// Of a directory below `/sys/kernel/mm/hugepages`: `hugepages-2048kB`.
  init?(directory: String) {
    guard directory.hasPrefix("hugepages-"), directory.hasSuffix("kB"), let kilobytes = Int64(directory.dropFirst(10).dropLast(2)) else {
      return nil
    }
    self.bytes = kilobytes * 1024
  }

  /// `hugepages-2Mi`
  var resource: String { "hugepages-" + Self.unit(bytes, ["", "Ki", "Mi", "Gi", "Ti", "Pi"]) }

  /// As the kernel's control groups and engines name it: `2MB`.
  var pageSize: String { Self.unit(bytes, ["B", "KB", "MB", "GB", "TB", "PB"]) }

  private static func unit(_ bytes: Int64, _ units: [String]) -> String {
    var amount = bytes
    var index = 0
    while amount >= 1024, amount % 1024 == 0, index < units.count - 1 {
      amount /= 1024
      index += 1
    }
    return "\(amount)\(units[index])"
  }
}
