import Testing

@testable import Edged

@Suite struct LogLinksTests {
  private let scratch: LogScratch
  private let links: ContainerLogLinks

  init() throws {
    scratch = try LogScratch()
    links = ContainerLogLinks(directory: scratch.path + "/containers")
  }

  private func target(_ name: String) throws -> String? { try FileSystem.readLink(scratch.path + "/containers/" + name) }

  @Test func linksAndRemoves() throws {
    let log = try scratch.write("0.log", "")
    for log in ["/old", log] { try links.link(pod: "p", namespace: "ns", container: "c", containerID: "abc", to: log) }
    #expect(try target("p_ns_c-abc.log") == log)
    try links.remove(pod: "p", namespace: "ns", container: "c", containerID: "abc")
    try links.remove(pod: "p", namespace: "ns", container: "c", containerID: "abc")
    #expect(try scratch.names("containers") == [])
  }

  @Test func shortensLongNames() throws {
    let pod = String(repeating: "p", count: 253)
    try links.link(pod: pod, namespace: "ns", container: "c", containerID: "abc", to: "/log")
    let name = try #require(try scratch.names("containers").first)
    #expect(name == pod.prefix(251) + ".log")
    try links.remove(pod: pod, namespace: "ns", container: "c", containerID: "abc")
    #expect(try scratch.names("containers") == [])
  }

  @Test func removesDeadLinksOnly() throws {
    let log = try scratch.write("0.log", "")
    try links.link(pod: "p", namespace: "ns", container: "living", containerID: "a1", to: log)
    try links.link(pod: "p", namespace: "ns", container: "dead", containerID: "a2", to: "/none")
    try links.link(pod: "p", namespace: "ns", container: "rotating", containerID: "a3", to: "/none")
    try scratch.write("containers/file.log", "")
    try links.removeDead(running: ["a3"])
    #expect(try scratch.names("containers") == ["file.log", "p_ns_living-a1.log", "p_ns_rotating-a3.log"])
    try ContainerLogLinks(directory: scratch.path + "/none").removeDead(running: [])
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
    #expect(try scratch.names("c") == ["0.log", "11.log"])
  }

  @Test(arguments: [
    ["0.log.20260228-120000.gz", "0.log.20260301-000000", "0.log.20260301-120000"], ["0.log.10.gz", "0.log.9", "0.log.2", "0.log.1"],
  ])
  func sortsRotatedFilesByAge(names: [String]) throws {
    for name in names + ["0.log", "10.log.1", "1.log.20260228-120000"] { try scratch.write("c/" + name, "") }
    #expect(try LogDirectory.rotated(of: scratch.path + "/c/0.log") == names.map { "\(scratch.path)/c/\($0)" })
  }
}
