import Glibc

/// What the machine is and what it runs, in the words of a Node's `nodeInfo`.
struct NodeSystem: Sendable, Hashable {
  /// Of the installation: `/etc/machine-id`.
  var machineID = ""
  /// Of the hardware, as far as the firmware tells it; else the machine's.
  var systemUUID = ""
  /// Another one after each start of the kernel.
  var bootID = ""
  /// `uname -r`
  var kernelVersion = ""
  /// `Debian GNU/Linux 12 (bookworm)`
  var osImage = ""
  /// As Go names it: `amd64`, `arm64`, `arm` …
  var architecture = ""
}

extension NodeSystem {
  /// Reads the machine. What it doesn't tell is empty.
  /// - Parameters:
  ///   - proc: Where the kernel's process file system is mounted, likewise `sys`.
  ///   - root: Where the host's files are.
  static func read(proc: String = "/proc", sys: String = "/sys", root: String = "") -> NodeSystem {
    var system = NodeSystem()
    system.machineID = first([root + "/etc/machine-id", root + "/var/lib/dbus/machine-id"])
    system.systemUUID = first([sys + "/class/dmi/id/product_uuid", proc + "/device-tree/system-id", proc + "/device-tree/vm,uuid"])
    if system.systemUUID.isEmpty { system.systemUUID = system.machineID }
    system.bootID = first([proc + "/sys/kernel/random/boot_id"])
    system.kernelVersion = NodeMachine.kernelRelease()
    system.osImage = osImage(release: (try? NodeMachine.read(root + "/etc/os-release")) ?? first([root + "/usr/lib/os-release"]))
    system.architecture = architecture(machine: NodeMachine.hardwareName())
    return system
  }

  /// The first text of those files that is there and isn't empty, without the white space and the zero bytes around it.
  private static func first(_ paths: [String]) -> String {
    for path in paths {
      guard let text = try? NodeMachine.read(path) else { continue }
      let isBlank = { (character: Character) in character.isWhitespace || character == "\0" }
      let trimmed = String(text.drop(while: isBlank).reversed().drop(while: isBlank).reversed())
      if !trimmed.isEmpty { return trimmed }
    }
    return ""
  }

  /// `PRETTY_NAME` in the text of an `os-release` file; `Linux` without one.
  static func osImage(release: String) -> String {
    for line in release.split(separator: "\n") where line.hasPrefix("PRETTY_NAME=") {
      var value = line.dropFirst("PRETTY_NAME=".count)
      if let quote = value.first, quote == "\"" || quote == "'", value.count > 1, value.last == quote {
        value = value.dropFirst().dropLast()
      }
      if !value.isEmpty { return String(value) }
    }
    return "Linux"
  }

  /// Go's name for what `uname -m` says. A program of 32 bits counts as its own architecture, also on a kernel of 64.
  static func architecture(machine: String, bits: Int = Int.bitWidth) -> String {
    switch machine {
    case "x86_64", "amd64": bits == 64 ? "amd64" : "386"
    case "aarch64", "arm64": bits == 64 ? "arm64" : "arm"
    case _ where machine.hasPrefix("armv") || machine == "arm": "arm"
    case "i386", "i486", "i586", "i686": "386"
    case "loongarch64": "loong64"
    case "mips64": "mips64"
    default: machine
    }
  }
}
