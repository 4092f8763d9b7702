import Core

/// What the cloud is owed.
extension DeviceBook {
  /// What is to be told of a device; nil if the cloud knows everything.
  func report(of id: DeviceID) -> CloudReport? {
    guard let device = devices[id], let debt = debts[id], !debt.isEmpty else { return nil }
    return CloudReport(of: device, debt, now: Message.Header.now)
  }

  /// The cloud has taken a report. What changed since stays owed, and what it was told for the first time.
  func confirm(_ report: CloudReport) {
    guard var device = devices[report.id] else { return }
    rememberDebt(of: report.id)
    for (name, told) in report.told {
      if name == Debt.stateName {
        if device.state == report.state { pay(name, of: report.id) }
      } else if let twin = device.twins[name], twin.expectedVersion == told.expectedVersion, twin.actualVersion == told.actualVersion {
        if twin.isShown { pay(name, of: report.id) }
      }
      if device.twins[name]?.isShown == false {
        device.twins[name]?.isShown = true
        draft.twins.insert(.init(device: report.id, name: name))
      }
    }
    put(device, at: report.id)
    do {
      _ = try commit()
    } catch {
      // It is told once more.
      rollBack()
      counters.storeFailures.increment()
    }
  }

  private func pay(_ name: String, of id: DeviceID) {
    debts[id]?[name] = []
    if debts[id]?.isEmpty == true { debts[id] = nil }
    draft.owed.insert(.init(device: id, name: name))
  }

  /// Devices that the cloud's objects stood behind and stand behind no more, as far as `objects` are all there are.
  func strays(_ objects: Set<DeviceID>) -> [DeviceID] { devices.values.filter { $0.hasObject && !objects.contains($0.id) }.map(\.id) }

  /// Devices of which the cloud has still to be told something.
  var indebted: [DeviceID] { Array(debts.keys) }
}
