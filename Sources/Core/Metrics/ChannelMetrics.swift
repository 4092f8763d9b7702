extension MetricsRegistry {
  /// Exports what a channel context counts, under names that begin with `edgecore_channel_`.
  public func export(_ channel: ChannelContext) {
    addCollector {
      let statistics = channel.statistics()
      var samples: [Sample] = [
        .init(
          "edgecore_channel_pending_requests", .gauge, help: "Requests that wait for an answer.", value: Double(statistics.pendingRequests)),
        .init("edgecore_channel_requests_total", .counter, help: "Requests sent.", value: Double(statistics.requests)),
        .init("edgecore_channel_answers_total", .counter, help: "Requests answered in time.", value: Double(statistics.answers)),
        .init(
          "edgecore_channel_late_answers_total", .counter, help: "Answers dropped since nobody waited for them.",
          value: Double(statistics.lateAnswers)),
        .init("edgecore_channel_timeouts_total", .counter, help: "Requests not answered in time.", value: Double(statistics.timeouts)),
        .init(
          "edgecore_channel_discarded_total", .counter, help: "Messages left in mailboxes that were taken away.",
          value: Double(statistics.discarded)),
      ]
      for mailbox in statistics.mailboxes {
        let module = [("module", mailbox.module.rawValue)]
        samples += [
          .init(
            "edgecore_mailbox_depth", .gauge, help: "Messages that wait to be received.", dimensions: module, value: Double(mailbox.depth)),
          .init(
            "edgecore_mailbox_waiting_senders", .gauge, help: "Messages that wait for room.", dimensions: module,
            value: Double(mailbox.waitingSenders)),
          .init(
            "edgecore_mailbox_sent_total", .counter, help: "Messages that got into the mailbox.", dimensions: module,
            value: Double(mailbox.sent)),
          .init(
            "edgecore_mailbox_waits_total", .counter, help: "How often a sender waited for room.", dimensions: module,
            value: Double(mailbox.waits)),
        ]
      }
      return samples
    }
  }
}
