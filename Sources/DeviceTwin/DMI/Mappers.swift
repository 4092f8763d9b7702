import Core
import DMI
import GRPC
import Logging
import YAML

/// The mappers that have registered, and what each has still to be told of devices and models, in order.
///
/// One mapper speaks for a protocol; the one that registered last. A mapper that doesn't answer is tried again, more and more rarely, with the
/// newest of each device; when it registers again it gets everything anyway.
actor Mappers {
  private struct Work {
    var calls: [MapperCall] = []
    var runner: Task<Void, Never>?
    var wakeup: AsyncStream<Void>.Continuation?
    /// The runner before the mapper registered again; it is about to end.
    var predecessor: Task<Void, Never>?

    /// The newest takes the place of what was not yet said of the same thing.
    mutating func add(_ call: MapperCall) {
      guard let index = calls.lastIndex(where: { $0.subject == call.subject }) else { return calls.append(call) }
      switch (calls[index], call) {
      case (.putDevice(_, true), .putDevice(let device, _)): calls[index] = .putDevice(device, isNew: true)
      case (.putModel(_, true), .putModel(let model, _)): calls[index] = .putModel(model, isNew: true)
      case (.putDevice, .putDevice), (.putModel, .putModel): calls[index] = call
      case (.removeDevice, .putDevice), (.removeModel, .putModel): calls.append(call)
      default:
        calls.removeAll { $0.subject == call.subject }
        calls.append(call)
      }
    }
  }

  /// By protocol.
  private(set) var mappers: [String: Mapper] = [:]
  private(set) var devices: [DeviceID: DeviceObject] = [:]
  private(set) var models: [String: DeviceModelObject] = [:]
  /// By protocol: what the mapper has heard.
  private var told: [String: ToldMapper]
  private var work: [String: Work] = [:]
  private var isStopped = false
  private let client: MapperClient
  private let remember: @Sendable (ToldMapper.Change) async -> Void
  private let logger: Logger

  /// - Parameters:
  ///   - mappers: that registered in earlier lives.
  ///   - told: what they have heard, by protocol.
  ///   - remember: keeps what they hear from now on.
  init(
    client: MapperClient, mappers: [Mapper], told: [String: ToldMapper], remember: @escaping @Sendable (ToldMapper.Change) async -> Void,
    logger: Logger
  ) {
    self.client = client
    self.told = told
    self.remember = remember
    self.logger = logger
    for mapper in mappers { self.mappers[mapper.protocolName] = mapper }
  }

  // MARK: Objects of the cloud

  /// What the cloud has. Mappers hear of what they haven't heard yet: those of an earlier life what has changed or gone meanwhile, those that
  /// registered before this was known everything.
  func begin(_ devices: [DeviceObject], _ models: [DeviceModelObject]) {
    for device in devices { self.devices[device.id] = device }
    for model in models { self.models[model.id] = model }
    for (protocolName, told) in told where mappers[protocolName] != nil {
      let known = Set(
        models.map { MapperCall.subject(model: $0.id) }
          + devices.filter { $0.protocolName == protocolName }.map { MapperCall.subject(device: $0.id) })
      for subject in told.marks.keys.sorted() where !known.contains(subject) {
        if let removal = MapperCall.removal(of: subject) { tell(removal, protocolName) }
      }
    }
    for model in models { tellIfNew(.putModel(DMIConversion.model(model), isNew: true), model.protocolName) }
    for device in devices where mappers[device.protocolName] != nil {
      if let converted = converted(device) { tellIfNew(.putDevice(converted, isNew: true), device.protocolName) }
    }
  }

  private func tellIfNew(_ call: MapperCall, _ protocolName: String) {
    let mark = told[protocolName]?.marks[call.subject]
    if mark == nil || mark != call.mark { tell(mark == nil ? call : call.asChange, protocolName) }
  }

  func put(_ device: DeviceObject) {
    let old = devices.updateValue(device, forKey: device.id)
    if let old, old.protocolName != device.protocolName {
      tell(.removeDevice(namespace: old.namespace, name: old.name), old.protocolName)
    } else if let old, old.spec == device.spec {
      return
    }
    tellDevice(device, isNew: old == nil || old?.protocolName != device.protocolName)
  }

  func remove(device id: DeviceID) {
    guard let old = devices.removeValue(forKey: id) else { return }
    tell(.removeDevice(namespace: old.namespace, name: old.name), old.protocolName)
  }

  func put(_ model: DeviceModelObject) {
    let old = models.updateValue(model, forKey: model.id)
    if let old, old.spec == model.spec { return }
    tell(.putModel(DMIConversion.model(model), isNew: old == nil), model.protocolName)
    // Devices that came before their model.
    if old == nil { for device in devices.values where device.model == model.id { tellDevice(device, isNew: true) } }
  }

  func remove(model id: String) {
    guard let old = models.removeValue(forKey: id) else { return }
    tell(.removeModel(namespace: old.namespace, name: old.name), old.protocolName)
  }

  func model(of device: DeviceObject) -> DeviceModelObject? { device.model.flatMap { models[$0] } }

  private func tellDevice(_ device: DeviceObject, isNew: Bool) {
    guard mappers[device.protocolName] != nil else {
      return logger.debug("no mapper for a device yet", metadata: ["device": "\(device.id)", "protocol": "\(device.protocolName)"])
    }
    guard let converted = converted(device) else { return }
    tell(.putDevice(converted, isNew: isNew), device.protocolName)
  }

  private func converted(_ device: DeviceObject) -> DMIDevice? {
    guard let model = model(of: device) else {
      logger.debug("a device has no model yet", metadata: ["device": "\(device.id)", "model": "\(device.model ?? "")"])
      return nil
    }
    do {
      return try DMIConversion.device(device, model: model)
    } catch {
      logger.warning("a device can't be told to its mapper", metadata: ["device": "\(device.id)", "error": "\(error)"])
      return nil
    }
  }

  // MARK: Registration

  /// A mapper is there.
  ///
  /// - Parameter withData: whether it is given everything in the answer; otherwise what it has still to be told stays.
  /// - Returns: what it is to be given: models and devices of its protocol.
  func register(_ mapper: Mapper, withData: Bool) async -> (models: [DMIDeviceModel], devices: [DMIDevice]) {
    let old = mappers.updateValue(mapper, forKey: mapper.protocolName)
    if old != mapper {
      logger.info(
        "mapper registered",
        metadata: ["mapper": "\(mapper.name)", "protocol": "\(mapper.protocolName)", "socket": "\(mapper.address)"])
    }
    startAnew(mapper.protocolName, keepingCalls: !withData)
    guard withData else { return ([], []) }
    var names: Set<String> = []
    var given: (models: [DMIDeviceModel], devices: [DMIDevice]) = ([], [])
    for device in devices.values.sorted(by: { $0.id.text < $1.id.text }) where device.protocolName == mapper.protocolName {
      guard let converted = converted(device), let model = model(of: device) else { continue }
      given.devices.append(converted)
      if names.insert(model.id).inserted { given.models.append(DMIConversion.model(model)) }
    }
    var told = ToldMapper()
    let calls = given.models.map { MapperCall.putModel($0, isNew: true) } + given.devices.map { MapperCall.putDevice($0, isNew: true) }
    for call in calls { told.marks[call.subject] = call.mark }
    self.told[mapper.protocolName] = told
    await remember(.everything(protocolName: mapper.protocolName, told))
    return given
  }

  // MARK: Calls

  /// Gives up the call that is under way, perhaps to one that hangs. A mapper that gets everything now needs to hear nothing older.
  private func startAnew(_ protocolName: String, keepingCalls: Bool) {
    guard let old = work[protocolName] else { return }
    old.wakeup?.finish()
    old.runner?.cancel()
    work[protocolName] = Work(predecessor: old.runner ?? old.predecessor)
    if keepingCalls { for call in old.calls { tell(call, protocolName) } }
  }

  private func tell(_ call: MapperCall, _ protocolName: String) {
    guard mappers[protocolName] != nil, !isStopped else { return }
    var work = self.work[protocolName] ?? Work()
    work.add(call)
    if work.runner == nil {
      let (wakeups, wakeup) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
      work.wakeup = wakeup
      work.runner = Task { [predecessor = work.predecessor] in
        await predecessor?.value
        await self.run(protocolName, wakeups)
      }
    }
    self.work[protocolName] = work
    work.wakeup?.yield()
  }

  private func run(_ protocolName: String, _ wakeups: AsyncStream<Void>) async {
    var backoff = Backoff(initial: .seconds(1), maximum: .seconds(60))
    var isAway = false
    for await _ in wakeups {
      while let call = work[protocolName]?.calls.first, let mapper = mappers[protocolName], !Task.isCancelled {
        do {
          try await client.make(call, to: mapper)
          if Task.isCancelled { return }
          backoff.reset()
          isAway = false
          await noteTold(call, protocolName)
        } catch let error as GRPCError where error.code != .unavailable && error.code != .deadlineExceeded && !Task.isCancelled {
          // It heard and said no: saying it again would not help.
          logger.warning(
            "a mapper refused a call", metadata: ["mapper": "\(mapper.name)", "about": "\(call.subject)", "error": "\(error)"])
          await noteTold(call, protocolName)
        } catch {
          if Task.isCancelled { return }
          // Once; it may be away for good.
          logger.log(
            level: isAway ? .debug : .warning, "a mapper doesn't answer; trying again",
            metadata: ["mapper": "\(mapper.name)", "about": "\(call.subject)", "error": "\(error)"])
          isAway = true
          do { try await Task.sleep(for: backoff.next()) } catch { return }
        }
      }
    }
  }

  /// The mapper has heard.
  private func noteTold(_ call: MapperCall, _ protocolName: String) async {
    if let index = work[protocolName]?.calls.firstIndex(of: call) { work[protocolName]?.calls.remove(at: index) }
    told[protocolName, default: ToldMapper()].marks[call.subject] = call.mark
    await remember(.call(protocolName: protocolName, subject: call.subject, mark: call.mark))
  }

  /// What a mapper has still to be told.
  func waiting(for protocolName: String) -> [String] { work[protocolName]?.calls.map(\.subject) ?? [] }

  /// Gives up what is under way.
  func stop() async {
    isStopped = true
    for entry in work.values {
      entry.wakeup?.finish()
      entry.runner?.cancel()
    }
    for entry in work.values { await (entry.runner ?? entry.predecessor)?.value }
    work = [:]
  }
}
