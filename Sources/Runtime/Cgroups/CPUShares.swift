import Glibc

/// CPU amounts in the kernel's units.
public enum CPUShares {
  public static let minimum: Int64 = 2
  public static let maximum: Int64 = 262_144
  /// Microseconds.
  public static let defaultPeriod: Int64 = 100_000
  /// The kernel takes no shorter quota, in microseconds.
  public static let minimumQuota: Int64 = 1000

  /// The weight of a CPU request, given in thousandths of a core: 1024 is one core.
  public static func shares(milliCPU: Int64) -> Int64 {
    guard milliCPU > 0 else { return minimum }
    let (product, overflow) = milliCPU.multipliedReportingOverflow(by: 1024)
    return overflow ? maximum : min(max(product / 1000, minimum), maximum)
  }

  /// The CPU time in each period that a limit in thousandths of a core allows; 0 if there is no limit.
  public static func quota(milliCPU: Int64, period: Int64 = defaultPeriod) -> Int64 {
    guard milliCPU > 0 else { return 0 }
    let (product, overflow) = milliCPU.multipliedReportingOverflow(by: period)
    return overflow ? .max / 1000 : max(product / 1000, minimumQuota)
  }
}

/// How shares of cgroup v1 (2…262144) become weights of cgroup v2 (1…10000). Kubernetes changed its mind; what counts is that
/// a pod's group and its neighbours use the same.
public enum CPUWeight: Sendable, Hashable {
  /// A straight line, Kubernetes up to 1.33: 1024 shares are 39.
  case linear
  /// A curve through the defaults of both versions, Kubernetes from 1.34 on: 1024 shares are 100.
  case curved

  public func weight(shares: Int64) -> Int64 {
    let shares = min(max(shares, CPUShares.minimum), CPUShares.maximum)
    switch self {
    case .linear: return 1 + (shares - 2) * 9999 / 262_142
    case .curved:
      guard shares > CPUShares.minimum else { return 1 }
      guard shares < CPUShares.maximum else { return 10_000 }
      let log = log2(Double(shares))
      return Int64(pow(10, (log * log + 125 * log) / 612 - 7.0 / 34).rounded(.up))
    }
  }
}
