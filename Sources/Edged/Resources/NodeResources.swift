import Glibc
import KubernetesAPI
import Runtime

/// What the machine has, and what of it pods may have.
struct NodeResources: Sendable, Hashable {
  /// By resource name: `cpu`, `memory`, `ephemeral-storage`, `pods`, `hugepages-…`.
  var capacity: ResourceList
  var allocatable: ResourceList
  /// Capacity less reservations alone: what the group of all pods is limited to. The margin to `allocatable` lets the agent
  /// evict pods before the kernel kills them.
  var enforced: ResourceList
  var hugepageSizes: [HugepageSize]

  /// What is kept from pods.
  struct Reservations: Sendable, Hashable {
    var systemReserved: ResourceList = [:]
    var kubeReserved: ResourceList = [:]
    /// Thresholds by signal, amounts or percentages: `memory.available`: `100Mi`, `nodefs.available`: `10%`.
    var evictionHard: [String: String] = [:]
    var maxPods: Int64 = 110
    /// 0: no limit by cores.
    var podsPerCore: Int64 = 0
  }

  /// Reads the machine.
  /// - Parameters:
  ///   - root: A path on the file system that pods' files are on.
  ///   - proc: Where the kernel's process file system is mounted, likewise `sys`.
  static func read(root: String, reservations: Reservations, proc: String = "/proc", sys: String = "/sys") throws -> NodeResources {
    let memory = try NodeMachine.memoryTotal(meminfo: NodeMachine.read(proc + "/meminfo"))
    let cores = try NodeMachine.cores(proc: proc, sys: sys)
    let storage = try NodeMachine.fileSystemSize(root)
    return NodeResources(
      cores: cores, memory: memory, storage: storage, hugepages: NodeMachine.hugepages(sys: sys), reservations: reservations)
  }

  /// - Parameters:
  ///   - memory: Bytes, likewise `storage`.
  ///   - hugepages: Number of pages by their size.
  init(cores: Int64, memory: Int64, storage: Int64, hugepages: [HugepageSize: Int64], reservations: Reservations) {
    var capacity: ResourceList = [
      "cpu": Quantity(value: cores), "memory": Self.binary(memory), "ephemeral-storage": Self.binary(storage),
    ]
    let perCore = reservations.podsPerCore > 0 ? reservations.podsPerCore * cores : .max
    capacity["pods"] = Quantity(value: min(perCore, reservations.maxPods))
    var inHugepages: Int64 = 0
    for (size, count) in hugepages {
      capacity[size.resource] = Self.binary(size.bytes * count)
      inHugepages += size.bytes * count
    }

    var enforced = capacity
    for reserved in [reservations.systemReserved, reservations.kubeReserved] {
      for (name, amount) in reserved { enforced[name] = enforced[name]?.reduced(by: amount) }
    }
    var allocatable = enforced
    for (signal, name, total) in [("memory.available", "memory", memory), ("nodefs.available", "ephemeral-storage", storage)] {
      guard let text = reservations.evictionHard[signal], let threshold = Self.threshold(text, of: total) else { continue }
      allocatable[name] = allocatable[name]?.reduced(by: Quantity(value: threshold))
    }
    allocatable["memory"] = allocatable["memory"]?.reduced(by: Quantity(value: inHugepages))
    self.capacity = capacity
    allocatable["memory"] = allocatable["memory"].map { Self.binary($0.value) }
    self.allocatable = allocatable
    self.enforced = enforced
    self.hugepageSizes = hugepages.keys.sorted { $0.bytes < $1.bytes }
  }

  /// Limits of the group of all pods.
  var kubepodsLimits: CgroupLimits {
    CgroupLimits(
      cpuShares: enforced["cpu"].map { CPUShares.shares(milliCPU: $0.milliValue) }, memory: enforced["memory"]?.value)
  }

  /// Bytes of a threshold such as `100Mi` or `10%`; nil if the text is none.
  static func threshold(_ text: String, of total: Int64) -> Int64? {
    guard text.hasSuffix("%") else { return Quantity(text)?.value }
    guard let percentage = Double(text.dropLast()), (0...100).contains(percentage) else { return nil }
    return Int64(Double(total) * percentage / 100)
  }

  /// In Ki where that is exact, as nodes report memory.
  private static func binary(_ bytes: Int64) -> Quantity {
    bytes > 0 && bytes % 1024 == 0 ? Quantity("\(bytes / 1024)Ki") ?? Quantity(value: bytes) : Quantity(value: bytes)
  }
}
