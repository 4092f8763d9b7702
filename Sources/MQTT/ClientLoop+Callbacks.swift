import CMosquitto

extension ClientLoop {
  /// The library's callbacks; all come on the thread, from within the calls that it makes.
  func setCallbacks() {
    mosquitto_connect_with_flags_callback_set(mosquitto) { _, context, code, flags in
      ClientLoop.of(context)?.noteAnswer(code, flags)
    }
    mosquitto_subscribe_callback_set(mosquitto) { _, context, id, count, granted in
      ClientLoop.of(context)?.noteSubscribed(id, count > 0 ? granted?.pointee ?? 128 : 128)
    }
    mosquitto_unsubscribe_callback_set(mosquitto) { _, context, id in ClientLoop.of(context)?.noteUnsubscribed(id) }
    mosquitto_publish_callback_set(mosquitto) { _, context, id in ClientLoop.of(context)?.notePublished(id) }
    mosquitto_message_callback_set(mosquitto) { _, context, message in
      if let message { ClientLoop.of(context)?.take(message) }
    }
  }

  /// Whether the library says in words what goes wrong. It then writes a text about every packet, which nobody reads while all goes well.
  func hearProblems(_ isWanted: Bool) {
    guard isWanted else { return mosquitto_log_callback_set(mosquitto, nil) }
    mosquitto_log_callback_set(mosquitto) { _, context, level, text in
      if level == Int32(MOSQ_LOG_ERR), let text { ClientLoop.of(context)?.noteProblem(String(cString: text)) }
    }
  }

  private static func of(_ context: UnsafeMutableRawPointer?) -> ClientLoop? {
    context.map { Unmanaged<ClientLoop>.fromOpaque($0).takeUnretainedValue() }
  }
}
