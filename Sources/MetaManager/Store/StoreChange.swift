import Core

/// One thing to do to the store.
enum StoreChange: Sendable {
  /// Keeps an object as the cloud has it, unless a newer one is there.
  case put(ObjectKey, [UInt8])
  /// Removes an object; one with another UID stays. Without a UID any goes.
  case remove(ObjectKey, uid: String?)
  /// Keeps a row that isn't an object of the cloud's with a version: a token.
  case putRow(key: String, type: String, value: [UInt8])
  /// Notes what the cloud is owed; replaces what was owed before for the same part of the same object.
  case owe(OwedEntry)
  /// Takes an entry out that was delivered, unless a newer one has its place.
  case settle(sequence: Int64)
  /// Takes an entry out that something newer made void which couldn't be stored.
  case settleOlder(object: String, slot: OwedEntry.Slot, upTo: Int64)
  case setState(key: String, value: String?)
}

/// What became of a change.
enum StoreOutcome: Sendable, Hashable {
  /// It was written.
  case changed
  /// Everything was so already; nothing was written.
  case unchanged
  /// What is stored is newer, or another object of that name; nothing was written.
  case stale
  /// The entry owed got this number.
  case owed(sequence: Int64)
}

/// Something that the cloud is to be told.
struct OwedEntry: Sendable, Hashable {
  /// The part of an object that the entry is about, in the order of delivery.
  enum Slot: String, Sendable, Hashable, CaseIterable { case status, deletion, event }

  /// Grows with each change, over restarts.
  var sequence: Int64 = 0
  /// False if the store wouldn't take it: then it is told, but not after a restart. It came after the entry of that sequence.
  var isStored = true
  /// Entries of one object are delivered one after the other.
  var object: String
  var slot: Slot
  var operation: Message.Operation
  var resource: String
  var content: [UInt8]
}
