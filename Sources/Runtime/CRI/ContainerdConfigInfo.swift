import FoundationEssentials

/// The part of containerd's configuration, as its verbose status shows it, that tells the cgroup driver: how engines before 2.0 say
/// it.
struct ContainerdConfigInfo: Decodable {
  struct Containerd: Decodable {
    var defaultRuntimeName: String?
    var runtimes: [String: Handler]?
  }
  struct Handler: Decodable {
    var runtimeType: String?
    var options: Options?
  }
  struct Options: Decodable {
    var systemdCgroup: Bool?

    enum CodingKeys: String, CodingKey {
      case systemdCgroup = "SystemdCgroup"
    }
  }

  var containerd: Containerd?

  /// nil when the text isn't what containerd writes, or the default handler isn't runc.
  static func cgroupDriver(_ json: String) -> CRICgroupDriver? {
    guard let info = try? JSONDecoder().decode(ContainerdConfigInfo.self, from: Data(json.utf8)),
      let handler = info.containerd?.runtimes?[info.containerd?.defaultRuntimeName ?? "runc"],
      handler.runtimeType?.hasPrefix("io.containerd.runc.") == true
    else { return nil }
    return handler.options?.systemdCgroup == true ? .systemd : .cgroupfs
  }
}
