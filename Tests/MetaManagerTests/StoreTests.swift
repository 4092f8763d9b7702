import Core
import Glibc
import SQLite
import Testing

@testable import MetaManager

@Suite struct StoreTests {
  private static func object(_ name: String, version: Int, uid: String = "u1", more: String = "") -> [UInt8] {
    Array(
      #"{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"\#(name)","uid":"\#(uid)","resourceVersion":"\#(version)"}\#(more)}"#.utf8
    )
  }

  private let key = ObjectKey(namespace: "default", type: "configmap", name: "app")

  @Test func keepsTheNewestOfAnObject() async throws {
    try await withScratch { path in
      let store = try MetaStore(path: path)
      #expect(try await store.apply([.put(key, Self.object("app", version: 9))]) == [.changed])
      #expect(try await store.apply([.put(key, Self.object("app", version: 9))]) == [.unchanged])
      #expect(try await store.apply([.put(key, Self.object("app", version: 8))]) == [.stale])
      // Versions count: 10 is newer than 9.
      #expect(try await store.apply([.put(key, Self.object("app", version: 10))]) == [.changed])
      #expect(try await store.row(key.resource) == Self.object("app", version: 10))
      // Deleted and made again, with the messages in the wrong order.
      #expect(try await store.apply([.put(key, Self.object("app", version: 20, uid: "u2"))]) == [.changed])
      #expect(try await store.apply([.put(key, Self.object("app", version: 11))]) == [.stale])
      #expect(try await store.apply([.remove(key, uid: "u1")]) == [.stale])
      #expect(try await store.row(key.resource) == Self.object("app", version: 20, uid: "u2"))
      #expect(try await store.apply([.remove(key, uid: "u2")]) == [.changed])
      #expect(try await store.apply([.remove(key, uid: "u2")]) == [.unchanged])
    }
  }

  @Test func losesNothingThatItDoesNotKnow() async throws {
    try await withScratch { path in
      let store = try MetaStore(path: path)
      let odd = Self.object("app", version: 1, more: #","data":{"ü":"\u0000\n","n":1e400,"big":12345678901234567890},"x":[null,{}] "#)
      _ = try await store.apply([.put(key, odd)])
      await store.close()
      #expect(try await store.row(key.resource) == odd)
    }
  }

  @Test func takesOverADatabaseOfKubeEdge() async throws {
    try await withScratch { path in
      do {
        let theirs = try Connection(path: path)
        try theirs.execute("CREATE TABLE `meta` (`key` text,`type` text,`value` text,PRIMARY KEY (`key`))")
        try theirs.execute("CREATE TABLE `sub_topics` (`topic` text,PRIMARY KEY (`topic`))")
        try theirs.run(
          "INSERT INTO meta VALUES (?, ?, ?)", .text(key.resource), .text("configmap"),
          .text(String(decoding: Self.object("app", version: 5), as: UTF8.self)))
      }
      let store = try MetaStore(path: path)
      #expect(try await store.row(key.resource) == Self.object("app", version: 5))
      #expect(try await store.apply([.put(key, Self.object("app", version: 6))]) == [.changed])
      await store.close()
      let theirs = try Connection(path: path)
      #expect(try theirs.first("SELECT count(*) FROM sub_topics") { $0.integer(0) } == 0)
    }
  }

  @Test func newestOwedStateWinsAndOutlivesARestart() async throws {
    try await withScratch { path in
      var status = OwedEntry(
        object: "pod/u1", slot: .status, operation: .patch, resource: "default/podpatch/web", content: Array(#""1""#.utf8))
      let deletion = OwedEntry(
        object: "pod/u1", slot: .deletion, operation: .delete, resource: "default/pod/web", content: Array("{}".utf8))
      do {
        let store = try MetaStore(path: path)
        _ = try await store.apply([.owe(status), .owe(deletion)])
        status.content = Array(#""2""#.utf8)
        _ = try await store.apply([.owe(status)])
        await store.close()
      }
      let store = try MetaStore(path: path)
      let owed = try await store.owed()
      #expect(owed.map(\.slot) == [.deletion, .status])
      #expect(owed.last?.content == Array(#""2""#.utf8))
      // Delivered, but a newer one came meanwhile: that one stays.
      let old = try #require(owed.last).sequence
      status.content = Array(#""3""#.utf8)
      _ = try await store.apply([.owe(status)])
      #expect(try await store.apply([.settle(sequence: old)]) == [.unchanged])
      // The cloud removed the pod: nothing is owed for it.
      _ = try await store.apply([.remove(ObjectKey(namespace: "default", type: "pod", name: "web"), uid: "u1")])
      #expect(try await store.owed().isEmpty)
    }
  }

  @Test func eventsAreBoundedAndStayNewUntilTold() async throws {
    try await withScratch { path in
      let store = try MetaStore(path: path)
      func event(_ number: Int, _ operation: Message.Operation, _ content: String) -> StoreChange {
        .owe(
          OwedEntry(
            object: "event/default/e\(number)", slot: .event, operation: operation, resource: "default/event/e\(number)",
            content: Array(content.utf8)))
      }
      _ = try await store.apply((0..<MetaStore.owedEventLimit + 5).map { event($0, .insert, "{}") })
      _ = try await store.apply([event(500, .update, #"{"count":2}"#)])
      let owed = try await store.owed()
      #expect(owed.count == MetaStore.owedEventLimit)
      #expect(!owed.contains { $0.resource == "default/event/e0" })
      let newest = try #require(owed.last)
      #expect(newest.operation == .insert && newest.content == Array(#"{"count":2}"#.utf8))
    }
  }

  @Test func aDamagedFileIsSetAsideAndSaysSo() async throws {
    try await withScratch { path in
      do {
        let store = try MetaStore(path: path)
        _ = try await store.apply((0..<500).map { .put(ObjectKey(type: "configmap", name: "c\($0)"), Self.object("c\($0)", version: $0)) })
        // A store that is new may have lost its forerunner.
        #expect(try await store.state(MetaStore.rebuiltState) == "")
        _ = try await store.apply([.setState(key: MetaStore.rebuiltState, value: nil)])
        await store.close()
      }
      let file = open(path, O_RDWR)
      defer { close(file) }
      let junk = [UInt8](repeating: 0xAB, count: 4096)
      for page in 1..<8 { pwrite(file, junk, junk.count, off_t(page * 4096)) }
      let store = try MetaStore(path: path)
      let damage = try #require(try await store.open())
      #expect(access(damage.setAside, F_OK) == 0)
      #expect(try await store.state(MetaStore.rebuiltState) == damage.setAside)
      #expect(try await store.rows(ofType: "configmap").isEmpty)
    }
  }
}

/// Gives a path for a database in a folder of its own, and removes the folder.
func withScratch(_ body: (String) async throws -> Void) async throws {
  let template = "/tmp/edgecore-meta-XXXXXX"
  var name = Array(template.utf8CString)
  guard let made = mkdtemp(&name) else {
    throw SQLiteError(code: 0, message: String(cString: strerror(errno)), context: "make \(template)")
  }
  let folder = String(cString: made)
  do {
    try await body(folder + "/edgecore.db")
  } catch {
    removeFolder(folder)
    throw error
  }
  removeFolder(folder)
}

private func removeFolder(_ folder: String) {
  if let directory = opendir(folder) {
    while let entry = readdir(directory) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      unlink(folder + "/" + name)
    }
    closedir(directory)
  }
  rmdir(folder)
}
