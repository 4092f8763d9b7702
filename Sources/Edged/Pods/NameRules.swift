import CLinux
import Glibc

/// The rules for names in Kubernetes objects. Each answers what is wrong, or nil.
enum NameRules {
  private static func isLower(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte) }
  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
  private static func isLowerOrDigit(_ byte: UInt8) -> Bool { isLower(byte) || isDigit(byte) }
  private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowerOrDigit(byte | 0x20) && (isDigit(byte) || byte >= 0x41) }

  private static func begins(_ text: String, andEndsWith isAllowed: (UInt8) -> Bool) -> Bool {
    guard let first = text.utf8.first, let last = text.utf8.last else { return false }
    return isAllowed(first) && isAllowed(last)
  }

  /// RFC 1123 label: containers, volumes, namespaces, host names.
  static func label(_ name: String) -> String? {
    guard name.utf8.count <= 63, begins(name, andEndsWith: isLowerOrDigit), name.utf8.allSatisfy({ isLowerOrDigit($0) || $0 == 0x2D })
    else { return "must be 1 to 63 lower-case letters, digits or \"-\", and begin and end with a letter or digit" }
    return nil
  }

  /// RFC 1123 subdomain: pods.
  static func subdomain(_ name: String) -> String? {
    let labels = name.split(separator: ".", omittingEmptySubsequences: false)
    guard name.utf8.count <= 253,
      labels.allSatisfy({ part in
        begins(String(part), andEndsWith: isLowerOrDigit) && part.utf8.allSatisfy { isLowerOrDigit($0) || $0 == 0x2D }
      })
    else {
      return "must be 1 to 253 lower-case letters, digits, \"-\" or \".\", and each part between dots begin and end with a letter or digit"
    }
    return nil
  }

  /// Names of ports (IANA service names).
  static func port(_ name: String) -> String? {
    guard (1...15).contains(name.utf8.count), begins(name, andEndsWith: isLowerOrDigit), !name.contains("--"),
      name.utf8.allSatisfy({ isLowerOrDigit($0) || $0 == 0x2D }), name.utf8.contains(where: isLower)
    else { return "must be 1 to 15 lower-case letters, digits or single \"-\", with at least one letter" }
    return nil
  }

  /// Keys of labels and annotations, names of resources: `[domain/]name`.
  static func qualified(_ name: String) -> String? {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    if parts.count == 2, let problem = subdomain(parts[0]) { return "part before \"/\" " + problem }
    guard parts.count <= 2, let last = parts.last, last.utf8.count <= 63, isWord(last), !last.isEmpty else {
      return "must be 1 to 63 letters, digits, \"-\", \"_\" or \".\", optionally after a domain and \"/\""
    }
    return nil
  }

  static func labelValue(_ value: String) -> String? {
    guard value.isEmpty || value.utf8.count <= 63 && isWord(value) else {
      return "must be at most 63 letters, digits, \"-\", \"_\" or \".\", and begin and end with a letter or digit"
    }
    return nil
  }

  private static func isWord(_ text: String) -> Bool {
    begins(text, andEndsWith: isAlphanumeric)
      && text.utf8.allSatisfy { isAlphanumeric($0) || $0 == 0x2D || $0 == 0x5F || $0 == 0x2E }
  }

  static func environmentVariable(_ name: String) -> String? {
    guard !name.isEmpty, name.utf8.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x3D }) else {
      return "must be printable ASCII characters other than \"=\", and not empty"
    }
    return nil
  }

  static func address(_ text: String) -> String? {
    var buffer = in6_addr()
    guard inet_pton(AF_INET, text, &buffer) == 1 || inet_pton(AF_INET6, text, &buffer) == 1 else {
      return "must be an IP address, e.g. 10.9.8.7 or fd00::1"
    }
    return nil
  }

  /// A UID becomes the name of directories and control groups.
  static func uid(_ text: String) -> String? {
    guard text.utf8.count <= 128, isWord(text) else {
      return "must be 1 to 128 letters, digits, \"-\", \"_\" or \".\", and begin and end with a letter or digit"
    }
    return nil
  }
}
