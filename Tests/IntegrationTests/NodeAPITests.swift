import Curl
import FoundationEssentials
import Glibc
import KubernetesAPI
import Testing
import YAML

/// What the node serves on its read-only port: logs, commands and ports of pods.
@Suite(.enabled(if: Engine.canRun, "needs root")) struct NodeAPITests {
  private struct Answer: Equatable {
    var status: Int
    var text: String
  }

  private func ask(_ agent: Agent, _ target: String, _ method: String = "GET") async throws -> Answer {
    var request = HTTPRequest(method, "http://127.0.0.1:\(agent.port)\(target)")
    request.timeout = .seconds(60)
    let response = try await agent.http.execute(request)
    return Answer(status: response.status, text: String(decoding: try await response.body.collect(upTo: 64 << 20), as: UTF8.self))
  }

  // MARK: Objects

  @Test(arguments: Engine.Kind.allCases)
  func podsAndSettingsAreTold(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      #expect(try await ask(agent, "/healthz") == Answer(status: 200, text: "ok"))
      #expect(try await ask(agent, "/healthz/syncloop").text == "ok")
      #expect(try await ask(agent, "/healthz?verbose").text == "[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n")
      try agent.writePod("told", Manifest.sleeper, spec: "someFutureField: {kept: 1}", metadata: "labels: {odd: \"yes\"}")
      let pod = try await agent.waitUntilReady("told")
      let name = "told-\(agent.node)"

      let pods = try JSONValue(json: Array(try await ask(agent, "/pods").text.utf8))
      #expect(pods["kind"]?.string == "PodList")
      #expect(pods["apiVersion"]?.string == "v1")
      let told = try #require(pods["items"]?.array?.first { $0["metadata"]?["name"]?.string == name })
      #expect(told["metadata"]?["labels"]?["odd"]?.string == "yes")
      #expect(told["spec"]?["someFutureField"]?["kept"]?.int == 1)
      #expect(told["status"]?["phase"]?.string == "Running")

      let running = try JSONValue(json: Array(try await ask(agent, "/runningpods/").text.utf8))
      let mine = try #require(running["items"]?.array?.first { $0["metadata"]?["uid"]?.string == pod.uid })
      #expect(mine["spec"]?["containers"]?.array?.map { $0["name"]?.string } == ["main"])

      let settings = try JSONValue(json: Array(try await ask(agent, "/configz").text.utf8))
      #expect(settings["kubeletconfig"]?["readOnlyPort"]?.int == Int64(agent.port))

      #expect(try await ask(agent, "/checkpoint/default/\(name)/main", "POST").status == 404)
      #expect(try await ask(agent, "/nowhere").status == 404)
      #expect(try await ask(agent, "/run/default/\(name)/main?cmd=echo+well+done", "POST") == Answer(status: 200, text: "well done\n"))
      let failed = try await ask(agent, "/run/default/\(name)/main?cmd=ls+/nowhere", "POST")
      #expect(failed.status == 500)
      #expect(failed.text.hasPrefix("command 'ls /nowhere' exited with 1: ls: /nowhere"))
    }
  }

  @Test func aTakenPortIsServedOnceItIsFree() async throws {
    let (listener, port) = try FreePort.listen(0)
    var isOpen = true
    defer { if isOpen { close(listener) } }
    try await Agent.with(.containerd, settings: ["modules.edged.tailoredKubeletConfig.readOnlyPort=\(port)"]) { agent in
      try agent.writePod("quiet", Manifest.sleeper)
      try await agent.waitUntilReady("quiet")
      _ = try await eventually("the agent says that the port is taken") {
        agent.log.contains("the node's API can't be served") && agent.log.contains("127.0.0.1:\(port)") ? true : nil
      }
      close(listener)
      isOpen = false
      _ = try await eventually("the API is served") {
        var request = HTTPRequest("GET", "http://127.0.0.1:\(port)/healthz")
        request.timeout = .seconds(5)
        return try await agent.http.execute(request).status == 200 ? true : nil
      }
    }
  }

  // MARK: Logs

  @Test(arguments: Engine.Kind.allCases)
  func logsAreSelectedAsAskedFor(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("talker", "for i in 1 2 3 4 5; do echo line $i; done; echo odd >&2; touch /done; " + Manifest.sleeper)
      try agent.writePod("crasher", "echo crashed; exit 3", spec: "restartPolicy: OnFailure")
      try agent.writePod("short", "echo a; sleep 4; echo b", spec: "restartPolicy: Never")
      let base = "/containerLogs/default/talker-\(agent.node)/main"
      let short = "/containerLogs/default/short-\(agent.node)/main"
      try await agent.wait(for: "short", "runs") { $0.status(of: "main")?.state?.running != nil }
      #expect(try await ask(agent, short + "?follow=true") == Answer(status: 200, text: "a\nb\n"))

      let pod = try await agent.waitUntilReady("talker")
      let all = "line 1\nline 2\nline 3\nline 4\nline 5\nodd\n"
      _ = try await eventually("all is logged") { try await ask(agent, base).text.split(separator: "\n").count == 6 ? true : nil }
      func lines(_ query: String) async throws -> [String] { try await ask(agent, base + query).text.trimmingLines() }
      #expect(Set(try await lines("")) == Set(all.trimmingLines()))
      #expect(try await lines("?tailLines=2").count == 2)
      #expect(try await lines("?tail=1").count == 1)
      #expect(try await lines("?tail=all&tailLines=1").count == 6)
      #expect(try await ask(agent, base + "?tailLines=0") == Answer(status: 200, text: ""))
      #expect(try await ask(agent, base + "?limitBytes=6").text.utf8.count == 6)
      #expect(try await lines("?sinceSeconds=1000").count == 6)
      #expect(try await lines("?sinceTime=2099-01-01T00:00:00Z").isEmpty)
      #expect(try await lines("?sinceTime=2019-01-01T00:00:00Z&timestamps=1&follow=false").count == 6)
      for line in try await lines("?timestamps=true") {
        let time = try #require(line.split(separator: " ").first)
        #expect(time.count >= 30 && Timestamp(String(time)) != nil)
      }

      try await agent.wait(for: "crasher", "has crashed") { $0.status(of: "main")?.lastState?.terminated?.containerID != nil }
      let crasher = "/containerLogs/default/crasher-\(agent.node)/main"
      #expect(try await ask(agent, crasher + "?previous=true") == Answer(status: 200, text: "crashed\n"))

      let name = "talker-\(agent.node)"
      let refusals: [(String, Answer)] = [
        (base + "?tailLines=x", Answer(status: 400, text: #"{"message": "Unable to decode query."}"#)),
        (base + "?tailLines=-1", Answer(status: 422, text: #"{"message": "Invalid request."}"#)),
        (base + "?sinceSeconds=5&sinceTime=2019-01-01T00:00:00Z", Answer(status: 422, text: #"{"message": "Invalid request."}"#)),
        ("/containerLogs/default/nobody/main", Answer(status: 404, text: #"pod "nobody" does not exist"#)),
        ("/containerLogs/default/\(name)/other", Answer(status: 404, text: #"container "other" not found in pod "\#(name)""#)),
        (
          base + "?previous=true", Answer(status: 400, text: #"previous terminated container "main" in pod "\#(name)" not found"#)
        ),
        ("/containerLogs/default/..%2f..%2fetc/main", Answer(status: 400, text: "a name in the path has a slash or a zero byte\n")),
        ("/containerLogs/../talker/main", Answer(status: 404, text: #"pod "talker" does not exist"#)),
      ]
      for (target, answer) in refusals { #expect(try await ask(agent, target) == answer) }

      // A follower that leaves, leaves nothing behind.
      let sockets = agent.sockets
      let follower = try await agent.http.execute(HTTPRequest("GET", "http://127.0.0.1:\(agent.port)\(base)?follow=1"))
      #expect(follower.status == 200)
      for try await _ in follower.body { break }
      _ = try await eventually("the follower's connections are gone") { agent.sockets <= sockets + 1 ? true : nil }

      if kind == .containerd {
        let log = "\(agent.logs)/default_\(name)_\(pod.uid)/main/0.log"
        rename(log, log + ".kept")
        symlink("/etc/hostname", log)
        #expect(try await ask(agent, base).status == 400)
        unlink(log)
        link("/etc/hostname", log)
        #expect(try await ask(agent, base).status == 400)
        unlink(log)
        rename(log + ".kept", log)
        #expect(try await lines("").count == 6)
      }
    }
  }

  // MARK: Commands

  @Test(arguments: Engine.Kind.allCases)
  func commandsHaveTheirStreamsAndTheirExitCode(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("shell", Manifest.sleeper)
      try await agent.waitUntilReady("shell")
      let pod = "shell-\(agent.node)"
      let input = (0..<(1 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
      let result = try await PodStreams.exec(agent, pod, ["sh", "-c", "cat; echo err >&2; exit 7"], input: input)
      #expect(result.stdout == input)
      #expect(result.stderr == "err\n")
      #expect(result.exitCode == "7")
      #expect(result.status["reason"]?.string == "NonZeroExitCode")
      let fine = try await PodStreams.exec(agent, pod, ["echo", "a b", "ü"])
      #expect(fine.output == "a b ü\n")
      #expect(fine.exitCode == "0")
      let missing = try await PodStreams.exec(agent, pod, ["/nowhere"])
      #expect(missing.status["status"]?.string == "Failure")

      // A terminal, its size, and the end of its input.
      let terminal = try await PodStreams.open(agent, "/exec/default/\(pod)/main?input=1&output=1&tty=1&command=sh")
      for type in ["error", "stdin", "stdout", "resize"] { try await terminal.open(type) }
      try await terminal.send(Array(#"{"Width":111,"Height":33}"#.utf8), to: "resize")
      _ = try await eventually("the terminal has its size") {
        try await terminal.send(Array("stty size\n".utf8), to: "stdin")
        let count = await terminal.received["stdout"]?.count ?? 0
        try await terminal.read("stdout", count: count + 1)
        return await terminal.text("stdout").contains("33 111") ? true : nil
      }
      try await terminal.send([4], to: "stdin")
      try await terminal.readUntilEnded(["stdout", "error"])
      #expect(try JSONValue(json: Array(await terminal.text("error").utf8))["status"]?.string == "Success")
      await terminal.close()

      let base = "/exec/default/\(pod)/main"
      let refusals: [(String, Answer)] = [
        (base + "?command=ls", Answer(status: 400, text: "you must specify at least 1 of stdin, stdout, stderr")),
        (base + "?command=ls&output=1", Answer(status: 400, text: "Upgrade request required")),
        ("/attach/default/\(pod)/main?output=1", Answer(status: 400, text: "Upgrade request required")),
        ("/portForward/default/\(pod)", Answer(status: 400, text: "Upgrade request required")),
        ("/portForward/default/\(pod)/none", Answer(status: 404, text: "pod not found")),
        ("/exec/default/nobody/main?command=ls&output=1", Answer(status: 404, text: "pod does not exist")),
        ("/exec/default/\(pod)/other?command=ls&output=1", Answer(status: 404, text: #"container not found ("other")"#)),
      ]
      for (target, answer) in refusals {
        #expect(try await ask(agent, target) == answer)
        #expect(try await ask(agent, target, "POST") == answer)
      }
      // The engine's addresses are secrets.
      #expect(!agent.log.contains("/exec/"))
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func manyCommandsLeaveNothingBehind(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("busy", Manifest.sleeper)
      try await agent.waitUntilReady("busy")
      let pod = "busy-\(agent.node)"
      _ = try await PodStreams.exec(agent, pod, ["true"])
      let sockets = agent.sockets
      for number in 0..<100 {
        let result = try await PodStreams.exec(agent, pod, ["sh", "-c", "echo \(number); exit \(number % 5)"])
        #expect(result.output == "\(number)\n")
        #expect(result.exitCode == String(number % 5))
      }
      try await withThrowingTaskGroup(of: Void.self) { tasks in
        for number in 0..<32 {
          tasks.addTask {
            let input = [UInt8](repeating: UInt8(number), count: 100_000)
            let result = try await PodStreams.exec(agent, pod, ["cat"], input: input)
            #expect(result.stdout == input)
            #expect(result.exitCode == "0")
          }
        }
        try await tasks.waitForAll()
      }
      // A few connections to the engine are kept for the next requests.
      _ = try await eventually("the agent's sockets are as before") { agent.sockets <= sockets + 8 ? true : nil }
      _ = try await eventually("nothing runs in the container but what did before") {
        let processes = try await PodStreams.exec(agent, pod, ["ps", "-o", "comm"]).output.trimmingLines()
        return processes.contains("cat") || processes.filter { $0 == "sh" }.count > 1 ? nil : true
      }
    }
  }

  @Test(arguments: Engine.Kind.allCases)
  func attachedStreamsEndWithTheirContainer(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod(
        "echo", "while read line; do echo got $line; done", container: "stdin: true")
      try await agent.waitUntilReady("echo")
      let streams = try await PodStreams.open(agent, "/attach/default/echo-\(agent.node)/main?input=1&output=1&error=1", method: "GET")
      for type in ["error", "stdin", "stdout", "stderr"] { try await streams.open(type) }
      try await streams.send(Array("one\n".utf8), to: "stdin")
      try await streams.read("stdout", count: 8)
      #expect(await streams.text("stdout") == "got one\n")
      agent.remove("echo.yaml")
      try await streams.readUntilEnded(["stdout", "stderr", "error", "never"])
      #expect(await streams.isAtEnd)
      await streams.close()
      try await agent.waitUntilGone("echo")
    }
  }

  // MARK: WebSockets

  @Test(arguments: Engine.Kind.allCases)
  func webSocketsCarryCommandsAndPorts(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      try agent.writePod("sockets", "busybox nc -ll -p 7000 -e cat & " + Manifest.sleeper)
      try await agent.waitUntilReady("sockets")
      let container = "default/sockets-\(agent.node)/main"
      let command = try await PodMessages.open(
        agent, "/exec/\(container)?command=sh&command=-c&command=head+-c+300000;echo+err+>%262;exit+5&input=1&output=1&error=1")
      let input = [UInt8](repeating: 0x61, count: 300_000)
      try await command.send(input, to: 0)
      let received = try await command.rest()
      #expect(received[1] == input)
      #expect(String(decoding: received[2] ?? [], as: UTF8.self) == "err\n")
      let status = try JSONValue(json: received[3] ?? [])
      #expect(status["details"]?["causes"]?.array?.first?["message"]?.string == "5")
      await command.close()

      // Only the newest protocol can end the input alone; Docker's streams are ended by us, containerd 1.6 is older than it.
      if kind == .docker {
        let whole = try await PodMessages.open(agent, "/exec/\(container)?command=cat&input=1&output=1")
        #expect(whole.version == "v5.channel.k8s.io")
        try await whole.send(Array("all of it".utf8), to: 0)
        try await whole.send([0], to: 255)
        let received = try await whole.rest()
        #expect(String(decoding: received[1] ?? [], as: UTF8.self) == "all of it")
        #expect(try JSONValue(json: received[3] ?? [])["status"]?.string == "Success")
        await whole.close()
      }

      let port = try await PodMessages.open(agent, "/portForward/default/sockets-\(agent.node)?port=7000", versions: "v4.channel.k8s.io")
      try await port.send(Array("echo".utf8), to: 0)
      var echoed: [UInt8] = []
      // The port's number, then what the server says.
      while echoed.count < 6, let message = try await port.next() { if message.stream == 0 { echoed += message.bytes } }
      #expect(echoed == [0x58, 0x1B] + Array("echo".utf8))
      await port.close()
    }
  }

  // MARK: Ports

  @Test(arguments: Engine.Kind.allCases)
  func portsAreForwarded(kind: Engine.Kind) async throws {
    try await Agent.with(kind) { agent in
      // The page's server listens on the pod's own loopback interface, where nobody else gets.
      let script = "mkdir /www; echo page > /www/index.html; busybox httpd -p 127.0.0.1:7001 -h /www; busybox nc -ll -p 7000 -e cat & "
      try agent.writePod("server", script + Manifest.sleeper)
      try await agent.waitUntilReady("server")
      let streams = try await PodStreams.open(agent, "/portForward/default/server-\(agent.node)", versions: "portforward.k8s.io")
      #expect(streams.version == "portforward.k8s.io")
      for (number, size) in [10, 300_000].enumerated() {
        let headers = [("port", "7000"), ("requestid", String(number))]
        let data = "data\(number)"
        try await streams.open("error", name: "error\(number)", headers: headers)
        try await streams.open("data", name: data, headers: headers)
        let bytes = [UInt8](repeating: 0x61, count: size)
        async let sending: Void = streams.send(bytes, to: data)
        try await streams.read(data, count: size)
        try await sending
        #expect(await streams.received[data] == bytes)
        try await streams.end(data)
        try await streams.readUntilEnded([data])
        #expect(await streams.text("error\(number)") == "")
      }
      let page = [("port", "7001"), ("requestid", "8")]
      try await streams.open("error", name: "pageError", headers: page)
      try await streams.open("data", name: "page", headers: page)
      try await streams.send(Array("GET /index.html HTTP/1.0\r\n\r\n".utf8), to: "page")
      try await streams.readUntilEnded(["page"])
      #expect(await streams.text("page").hasSuffix("page\n"))
      let headers = [("port", "7002"), ("requestid", "9")]
      try await streams.open("error", name: "refused", headers: headers)
      try await streams.open("data", name: "none", headers: headers)
      try await streams.readUntilEnded(["refused"])
      #expect(await streams.text("refused").contains("7002"))
      await streams.close()
    }
  }
}

extension Agent {
  /// Sockets that the agent has open.
  var sockets: Int {
    let folder = "/proc/\(pid)/fd"
    return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).count { name in
      ((try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)) ?? "").hasPrefix("socket:")
    }
  }
}
