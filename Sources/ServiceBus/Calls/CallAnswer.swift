import Curl
import YAML

/// What the cloud's client gets: an HTTP answer as JSON.
struct CallAnswer: Error, Sendable {
  var status: Int
  var headers: [HTTPField]
  var body: [UInt8]

  /// An answer in the place of the application's.
  static func failure(_ status: Int, _ text: String) -> CallAnswer {
    CallAnswer(status: status, headers: [HTTPField("Server", "kubeedge-edgecore")], body: Array(text.utf8))
  }

  /// `{"header":{"Name":["value"]},"status_code":200,"body":"<base64>"}`
  var json: [UInt8] {
    var bytes = Array("{\"header\":".utf8)
    bytes += header.jsonBytes()
    bytes += Array(",\"status_code\":\(status),\"body\":".utf8)
    bytes += Base64.json(body)
    bytes.append(0x7D)
    return bytes
  }

  /// What belongs to the connection stays behind; so does the length, which the cloud's client is told in another way.
  private var header: JSONValue {
    let own = ConnectionHeaders(headers)
    var members: [JSONValue.Member] = []
    var places: [String: Int] = [:]
    for field in headers where !own.contains(field.name) {
      let name = Self.canonical(field.name)
      if let place = places[name], case .array(let values) = members[place].value {
        members[place].value = .array(values + [.string(field.value)])
      } else {
        places[name] = members.count
        members.append(.init(name, .array([.string(field.value)])))
      }
    }
    return .object(members)
  }

  /// `content-type` becomes `Content-Type`: the cloud's library finds no other.
  static func canonical(_ name: String) -> String {
    var isFirst = true
    return String(
      decoding: name.utf8.map { letter in
        defer { isFirst = letter == UInt8(ascii: "-") }
        switch letter {
        case 0x61...0x7A where isFirst: return letter - 0x20
        case 0x41...0x5A where !isFirst: return letter + 0x20
        default: return letter
        }
      }, as: UTF8.self)
  }
}

/// The headers of one connection, which mean nothing to the next.
struct ConnectionHeaders: Sendable {
  private var names: Set<String> = [
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "content-length",
  ]

  init(_ headers: [HTTPField]) {
    for field in headers where field.name.lowercased() == "connection" {
      for word in field.value.split(separator: ",") { names.insert(word.filter { $0 != " " && $0 != "\t" }.lowercased()) }
    }
  }

  func contains(_ name: String) -> Bool { names.contains(name.lowercased()) }
}
