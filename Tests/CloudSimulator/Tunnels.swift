import NIOCore
import Synchronization

/// The tunnels that nodes have opened, each known by the node's name and by its address.
final class Tunnels: Sendable {
  private struct State {
    var tunnels: [String: TunnelOfNode] = [:]
    var lastID: UInt64 = 0
    var connections = 0
    var pings: [String: [String]] = [:]
  }

  private let state = Mutex(State())
  /// Told when a tunnel comes or goes, or a ping comes.
  let progress = Broadcast<Void>()

  subscript(key: String) -> TunnelOfNode? { state.withLock { $0.tunnels[key] } }
  var connections: Int { state.withLock { $0.connections } }
  func pings(of name: String) -> [String] { state.withLock { $0.pings[name] ?? [] } }

  /// Numbers are given once, whatever the node.
  func nextID() -> UInt64 {
    state.withLock { state in
      state.lastID += 1
      return state.lastID
    }
  }

  func connected(_ tunnel: TunnelOfNode) {
    state.withLock { state in
      state.tunnels[tunnel.name] = tunnel
      state.tunnels[tunnel.address] = tunnel
      state.connections += 1
    }
    progress.send(())
  }

  func disconnected(_ tunnel: TunnelOfNode) {
    state.withLock { state in
      for key in [tunnel.name, tunnel.address] where state.tunnels[key] === tunnel { state.tunnels[key] = nil }
    }
    tunnel.end()
    progress.send(())
  }

  func pinged(_ text: String, by tunnel: TunnelOfNode) {
    state.withLock { $0.pings[tunnel.name, default: []].append(text) }
    progress.send(())
  }
}

/// One tunnel, and what goes through it.
final class TunnelOfNode: Sendable {
  let name: String
  let address: String
  private let channel: any Channel
  private let streams = Mutex<[UInt64: TunnelStream]>([:])

  init(name: String, address: String, channel: any Channel) {
    self.name = name
    self.address = address
    self.channel = channel
  }

  func send(_ id: UInt64, _ type: UInt64, _ payload: [UInt8] = []) {
    var bytes: [UInt8] = []
    for number in [id, type] {
      var rest = number
      while rest >= 0x80 {
        bytes.append(UInt8(rest & 0x7F) | 0x80)
        rest >>= 7
      }
      bytes.append(UInt8(rest))
    }
    channel.writeAndFlush(ByteBuffer(bytes: bytes + payload), promise: nil)
  }

  func add(_ stream: TunnelStream) { streams.withLock { $0[stream.id] = stream } }

  /// - Returns: false to end the tunnel, as the real cloud does with what it can't read.
  func received(_ message: [UInt8]) -> Bool {
    var rest = message[...]
    func number() -> UInt64? {
      var value: UInt64 = 0
      var shift: UInt64 = 0
      while let byte = rest.popFirst() {
        value |= UInt64(byte & 0x7F) << shift
        if byte < 0x80 { return value }
        shift += 7
      }
      return nil
    }
    guard let id = number(), let type = number() else { return false }
    let stream = streams.withLock { $0[id] }
    switch type {
    case 3: stream?.received(rest)
    case 4: stream?.ended(.removed)
    default: break
    }
    return true
  }

  func end() {
    let streams = streams.withLock { streams in
      defer { streams = [:] }
      return streams.values
    }
    for stream in streams { stream.ended(.tunnelLost) }
  }

  func close() { channel.close(promise: nil) }
}
