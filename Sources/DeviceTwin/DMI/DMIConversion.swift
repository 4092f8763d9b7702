import DMI
import FoundationEssentials
import SwiftProtobuf
import YAML

/// Devices and models in the words of mappers.
///
/// Mappers look into parts without asking whether they are there: all of them are, even if they are empty.
enum DMIConversion {
  struct Failure: Error, Sendable, CustomStringConvertible {
    var description: String
  }

  /// A device with what its model says for all devices of its kind.
  /// - Throws: `Failure` if free settings have values that the interface has no form for.
  static func device(_ object: DeviceObject, model: DeviceModelObject) throws(Failure) -> DMIDevice {
    var device = DMIDevice()
    device.name = object.name
    device.namespace = object.namespace
    var spec = DMIDeviceSpec()
    spec.deviceModelReference = object.spec["deviceModelRef"]?["name"]?.string ?? ""
    spec.`protocol`.protocolName = object.protocolName
    spec.`protocol`.configData = try customized(
      merged(model.spec["protocolConfigData"], object.spec["protocol"]?["configData"]), "protocol.configData")
    for property in object.properties { spec.properties.append(try self.property(property, model)) }
    for method in object.spec["methods"]?.array ?? [] {
      var converted = DMIDeviceMethod()
      converted.name = method["name"]?.string ?? ""
      converted.description_p = method["description"]?.string ?? ""
      converted.propertyNames = (method["propertyNames"]?.array ?? []).compactMap(\.string)
      spec.methods.append(converted)
    }
    device.spec = spec
    let report = object.spec["stateReport"] ?? object.json["status"]
    var status = DMIDeviceStatus()
    status.reportToCloud = report?["reportToCloud"]?.bool ?? false
    status.reportCycle = report?["reportCycle"]?.int ?? 0
    device.status = status
    return device
  }

  static func model(_ object: DeviceModelObject) -> DMIDeviceModel {
    var model = DMIDeviceModel()
    model.name = object.name
    model.namespace = object.namespace
    var spec = DMIDeviceModelSpec()
    for property in object.properties {
      var converted = DMIModelProperty()
      converted.name = property["name"]?.string ?? ""
      converted.description_p = property["description"]?.string ?? ""
      converted.type = property["type"]?.string ?? ""
      converted.accessMode = property["accessMode"]?.string ?? ""
      converted.minimum = property["minimum"]?.string ?? ""
      converted.maximum = property["maximum"]?.string ?? ""
      converted.unit = property["unit"]?.string ?? ""
      spec.properties.append(converted)
    }
    model.spec = spec
    return model
  }

  private static func property(_ property: JSONValue, _ model: DeviceModelObject) throws(Failure) -> DMIDeviceProperty {
    var converted = DMIDeviceProperty()
    converted.name = property["name"]?.string ?? ""
    let ofModel = model.property(converted.name)?["visitors"]
    var desired = DMITwinProperty()
    desired.value = property["desired"]?["value"]?.string ?? ""
    for member in property["desired"]?["metadata"]?.object ?? [] { desired.metadata[member.key] = member.value.string ?? "" }
    converted.desired = desired
    var visitors = DMIVisitorConfig()
    visitors.protocolName = ofModel?["protocolName"]?.string ?? property["visitors"]?["protocolName"]?.string ?? ""
    visitors.configData = try customized(
      merged(ofModel?["configData"], property["visitors"]?["configData"]), "visitors.configData of \(converted.name)")
    converted.visitors = visitors
    converted.reportCycle = property["reportCycle"]?.int ?? 0
    converted.collectCycle = property["collectCycle"]?.int ?? 0
    converted.reportToCloud = property["reportToCloud"]?.bool ?? false
    if let method = property["pushMethod"], method != .null { converted.pushMethod = try pushMethod(method) }
    return converted
  }

  private static func pushMethod(_ method: JSONValue) throws(Failure) -> DMIPushMethod {
    var converted = DMIPushMethod()
    if let http = method["http"] {
      converted.http.hostname = http["hostName"]?.string ?? ""
      converted.http.port = http["port"]?.int ?? 0
      converted.http.requestpath = http["requestPath"]?.string ?? ""
      converted.http.timeout = http["timeout"]?.int ?? 0
    }
    if let mqtt = method["mqtt"] {
      converted.mqtt.address = mqtt["address"]?.string ?? ""
      converted.mqtt.topic = mqtt["topic"]?.string ?? ""
      converted.mqtt.qos = Int32(clamping: mqtt["qos"]?.int ?? 0)
      converted.mqtt.retained = mqtt["retained"]?.bool ?? false
    }
    if let otel = method["otel"] { converted.otel.endpointURL = otel["endpointURL"]?.string ?? "" }
    if let database = method["dbMethod"] { converted.dbMethod = databaseMethod(database) }
    if let detection = method["anomalyDetection"], detection != .null {
      converted.anomalyDetection.data = try customized(detection, "anomalyDetection").data
    }
    return converted
  }

  private static func databaseMethod(_ database: JSONValue) -> DMIDBMethod {
    var converted = DMIDBMethod()
    if let influx = database["influxdb2"] {
      let client = influx["influxdb2ClientConfig"]
      converted.influxdb2.influxdb2ClientConfig.url = client?["url"]?.string ?? ""
      converted.influxdb2.influxdb2ClientConfig.org = client?["org"]?.string ?? ""
      converted.influxdb2.influxdb2ClientConfig.bucket = client?["bucket"]?.string ?? ""
      let data = influx["influxdb2DataConfig"]
      converted.influxdb2.influxdb2DataConfig.measurement = data?["measurement"]?.string ?? ""
      converted.influxdb2.influxdb2DataConfig.fieldKey = data?["fieldKey"]?.string ?? ""
      for member in data?["tag"]?.object ?? [] { converted.influxdb2.influxdb2DataConfig.tag[member.key] = member.value.string ?? "" }
    }
    if let redis = database["redis"]?["redisClientConfig"] {
      converted.redis.redisClientConfig.addr = redis["addr"]?.string ?? ""
      converted.redis.redisClientConfig.db = Int32(clamping: redis["db"]?.int ?? 0)
      converted.redis.redisClientConfig.poolsize = Int32(clamping: redis["poolsize"]?.int ?? 0)
      converted.redis.redisClientConfig.minIdleConns = Int32(clamping: redis["minIdleConns"]?.int ?? 0)
    }
    if let tdengine = database["TDEngine"]?["TDEngineClientConfig"] {
      converted.tdengine.tdEngineClientConfig.addr = tdengine["addr"]?.string ?? ""
      converted.tdengine.tdEngineClientConfig.dbname = tdengine["dbName"]?.string ?? ""
    }
    if let mysql = database["mysql"]?["mysqlClientConfig"] {
      converted.mysql.mysqlClientConfig.addr = mysql["addr"]?.string ?? ""
      converted.mysql.mysqlClientConfig.database = mysql["database"]?.string ?? ""
      converted.mysql.mysqlClientConfig.userName = mysql["userName"]?.string ?? ""
    }
    return converted
  }

  // MARK: Free settings

  /// The model's settings with the device's own in their place.
  private static func merged(_ model: JSONValue?, _ device: JSONValue?) -> JSONValue {
    var merged = model ?? .object([])
    for member in device?.object ?? [] { merged[member.key] = member.value }
    return merged
  }

  /// Numbers go as 32-bit floats: mappers know no doubles.
  private static func customized(_ settings: JSONValue, _ place: String) throws(Failure) -> DMICustomizedValue {
    var value = DMICustomizedValue()
    for member in settings.object ?? [] {
      do {
        switch member.value {
        case .string(let text): value.data[member.key] = try Google_Protobuf_Any(message: Google_Protobuf_StringValue(text))
        case .bool(let flag): value.data[member.key] = try Google_Protobuf_Any(message: Google_Protobuf_BoolValue(flag))
        case .number(let number): value.data[member.key] = try Google_Protobuf_Any(message: Google_Protobuf_FloatValue(Float(number) ?? 0))
        default: throw Failure(description: "")
        }
      } catch {
        throw Failure(description: "\(place).\(member.key) is neither a text, a number nor true or false")
      }
    }
    return value
  }
}
