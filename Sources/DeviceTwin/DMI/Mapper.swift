import DMI
import GRPC

/// A mapper: a program that speaks the protocol of some devices, and serves a socket of its own.
struct Mapper: Sendable, Hashable {
  var name: String
  var version: String
  var apiVersion: String
  var protocolName: String
  /// Path of its socket.
  var address: String
  var state: String

  /// - Throws: `GRPCError` with what is missing.
  init(_ info: DMIMapperInfo) throws(GRPCError) {
    guard !info.name.isEmpty, info.name.utf8.count <= 253 else {
      throw GRPCError(.invalidArgument, "fail to register mapper: mapper.name must have 1 to 253 characters")
    }
    guard !info.`protocol`.isEmpty else {
      throw GRPCError(.invalidArgument, "fail to register mapper \(info.name): mapper.protocol must not be empty")
    }
    name = info.name
    version = info.version
    apiVersion = info.apiVersion
    protocolName = info.`protocol`
    address = String(decoding: info.address, as: UTF8.self)
    state = info.state
    guard address.hasPrefix("/"), address.utf8.count < 108, !address.utf8.contains(0) else {
      throw GRPCError(
        .invalidArgument, "fail to register mapper \(info.name): mapper.address must be the path of a Unix socket, beginning with /")
    }
  }

  init(name: String, version: String, apiVersion: String, protocolName: String, address: String, state: String) {
    self.name = name
    self.version = version
    self.apiVersion = apiVersion
    self.protocolName = protocolName
    self.address = address
    self.state = state
  }
}
