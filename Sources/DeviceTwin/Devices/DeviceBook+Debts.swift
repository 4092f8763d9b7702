import Core

/// What the cloud is owed.
extension DeviceBook {
  /// What is to be told of a device; nil if the cloud knows everything.
  func report(of id: DeviceID) -> CloudReport? {
    guard let device = devices[id], let debt = debts[id], !debt.isEmpty else { return nil }
    return CloudReport(of: device, debt, now: Message.Header.now)
  }

  /// The cloud has taken a report. What changed since stays owed, and what it was told for the first time. `flush` or the next batch writes
  /// that down; what is lost before is told once more.
  ///
  /// - Returns: whether the cloud is still owed something of the device.
  @discardableResult
  func confirm(_ report: CloudReport) -> Bool {
    guard var device = devices[report.id] else { return false }
    rememberDebt(of: report.id)
    for (name, told) in report.told {
      if name == Debt.stateName {
        if device.state == report.state { pay(told.parts, name, of: report.id) }
      } else if let twin = device.twins[name], twin.isShown, told.isStill(twin) {
        pay(told.parts, name, of: report.id)
      }
      if device.twins[name]?.isShown == false {
        device.twins[name]?.isShown = true
        draft.twins.insert(.init(device: report.id, name: name))
      }
    }
    put(device, at: report.id)
    return debts[report.id] != nil
  }

  /// Writes down what the cloud has confirmed.
  ///
  /// - Returns: devices of which it has to be told once more, since that can't be written.
  func flush() -> [DeviceID] {
    do {
      _ = try commit()
      return []
    } catch {
      noteFailure("what the cloud has confirmed can't be stored; it is told again later", error)
      return rollBack()
    }
  }

  private func pay(_ parts: Debt.Parts, _ name: String, of id: DeviceID) {
    debts[id]?[name].subtract(parts)
    if debts[id]?.isEmpty == true { debts[id] = nil }
    draft.owed.insert(.init(device: id, name: name))
  }

  /// Devices that the cloud's objects stood behind and stand behind no more, as far as `objects` are all there are.
  func strays(_ objects: Set<DeviceID>) -> [DeviceID] { devices.values.filter { $0.hasObject && !objects.contains($0.id) }.map(\.id) }

  /// Devices of which the cloud has still to be told something.
  var indebted: [DeviceID] { Array(debts.keys) }
}
