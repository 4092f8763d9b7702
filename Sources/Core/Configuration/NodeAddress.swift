/// What addresses to listen on mean.
public enum NodeAddress {
  /// Whether only this host comes to it.
  public static func isLoopback(_ address: String) -> Bool { address.hasPrefix("127.") || address == "::1" }

  /// Whether it stands for all addresses.
  public static func isWildcard(_ address: String) -> Bool { ["0.0.0.0", "::"].contains(address) }
}
