import Glibc
import Testing

@testable import Edged

@Suite struct LogLinksTests {
  private let scratch: LogScratch
  private let links: ContainerLogLinks

  init() throws {
    scratch = try LogScratch()
    links = ContainerLogLinks(directory: scratch.path + "/containers")
  }

  private func target(_ name: String) -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let count = readlink(scratch.path + "/containers/" + name, &buffer, buffer.count)
    return count < 0 ? nil : String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func linksAndRemoves() throws {
    let log = try scratch.write("0.log", "")
    for log in ["/old", log] { try links.link(pod: "p", namespace: "ns", container: "c", containerID: "abc", to: log) }
    #expect(target("p_ns_c-abc.log") == log)
    try links.remove(pod: "p", namespace: "ns", container: "c", containerID: "abc")
    try links.remove(pod: "p", namespace: "ns", container: "c", containerID: "abc")
    #expect(scratch.names("containers") == [])
  }

  @Test func shortensLongNames() throws {
    let pod = String(repeating: "p", count: 253)
    try links.link(pod: pod, namespace: "ns", container: "c", containerID: "abc", to: "/log")
    let name = try #require(scratch.names("containers").first)
    #expect(name == pod.prefix(251) + ".log")
    try links.remove(pod: pod, namespace: "ns", container: "c", containerID: "abc")
    #expect(scratch.names("containers") == [])
  }

  @Test func removesDeadLinksOnly() throws {
    let log = try scratch.write("0.log", "")
    try links.link(pod: "p", namespace: "ns", container: "living", containerID: "a1", to: log)
    try links.link(pod: "p", namespace: "ns", container: "dead", containerID: "a2", to: "/none")
    try links.link(pod: "p", namespace: "ns", container: "rotating", containerID: "a3", to: "/none")
    try scratch.write("containers/file.log", "")
    links.removeDead(running: ["a3"])
    #expect(scratch.names("containers") == ["file.log", "p_ns_living-a1.log", "p_ns_rotating-a3.log"])
    ContainerLogLinks(directory: scratch.path + "/none").removeDead(running: [])
  }

  @Test(
    arguments: [
      ([], nil), (["0.log"], 0), (["0.log", "2.log", "10.log", "9.log"], 10), (["3.log.20260301-120000", "1.log"], 3),
      (["4.log.20260301-120000.gz"], 4), (["x.log", "5.txt", "6", "-7.log", "8.logs"], nil),
    ] as [([String], Int?)])
  func findsTheHighestNumber(names: [String], number: Int?) throws {
    for name in names { try scratch.write("c/" + name, "") }
    #expect(LogDirectory.highestLogNumber(scratch.path + "/c") == number)
  }

  @Test func removesALogWithItsRotatedFiles() throws {
    for name in ["1.log", "1.log.20260301-120000", "1.log.20260301-120000.gz", "11.log", "0.log"] { try scratch.write("c/" + name, "") }
    try LogDirectory.removeLog(scratch.path + "/c/1.log")
    #expect(scratch.names("c") == ["0.log", "11.log"])
  }

  @Test func removesTreesButFollowsNoLink() throws {
    try scratch.write("kept/file", "precious")
    try scratch.write("tree/a/b/file", "")
    #expect(symlink(scratch.path + "/kept", scratch.path + "/tree/a/link") == 0)
    try LogDirectory.removeTree(scratch.path + "/tree")
    try LogDirectory.removeTree(scratch.path + "/tree")
    #expect(scratch.names() == ["kept"])
    #expect(try scratch.read("kept/file") == "precious")
  }
}
