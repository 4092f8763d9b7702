import ArgumentParser
import LocalAPI
import YAML

struct Images: AsyncParsableCommand {
  static let configuration = CommandConfiguration(abstract: "Lists the images of this node.")

  @OptionGroup var options: GlobalOptions

  func run() async throws {
    let answer = try await options.client.get("/v1/images")
    if options.output == .json {
      print(answer.jsonText(pretty: true))
      return
    }
    var table = Table("IMAGE", "TAG", "ID", "SIZE", "PINNED")
    for image in try answer.decode([ImageSummary].self) {
      let id = String((image.id.split(separator: ":").last ?? "").prefix(12))
      for name in image.tags.isEmpty ? image.digests.isEmpty ? ["<none>"] : [image.digests[0]] : image.tags {
        let slash = name.lastIndex(of: "/") ?? name.startIndex
        let colon = name[slash...].lastIndex(of: ":")
        let repository = colon.map { String(name[..<$0]) } ?? name
        let tag = colon.map { String(name[name.index(after: $0)...]) } ?? "<none>"
        table.add(repository, tag, id, bytes(image.size), image.pinned ? "yes" : "")
      }
    }
    print(table.rows.isEmpty ? "No images." : table.text)
  }
}
