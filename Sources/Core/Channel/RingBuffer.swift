/// A first-in first-out queue that grows to what it once held and reuses that room.
struct RingBuffer<Element> {
  private var slots: [Element?] = []
  private var head = 0
  private(set) var count = 0

  var isEmpty: Bool { count == 0 }

  mutating func append(_ element: Element) {
    if count == slots.count { grow() }
    var place = head + count
    if place >= slots.count { place -= slots.count }
    slots[place] = element
    count += 1
  }

  mutating func popFirst() -> Element? {
    guard count > 0 else { return nil }
    let element = slots[head].take()
    head += 1
    if head == slots.count { head = 0 }
    count -= 1
    return element
  }

  /// Removes the first element that fits; the others keep their order.
  mutating func removeFirst(where fits: (Element) -> Bool) -> Element? {
    var found: Element?
    for _ in 0..<count {
      guard let element = popFirst() else { break }
      if found == nil, fits(element) { found = element } else { append(element) }
    }
    return found
  }

  mutating func removeAll() -> [Element] {
    var elements: [Element] = []
    while let element = popFirst() { elements.append(element) }
    slots = []
    head = 0
    return elements
  }

  private mutating func grow() {
    var larger: [Element?] = []
    larger.reserveCapacity(max(8, slots.count * 2))
    for offset in 0..<count { larger.append(slots[(head + offset) % slots.count]) }
    larger.append(contentsOf: repeatElement(nil, count: max(8, slots.count * 2) - count))
    slots = larger
    head = 0
  }
}
