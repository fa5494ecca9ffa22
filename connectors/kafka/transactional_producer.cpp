#include "connectors/kafka/transactional_producer.hpp"

#include "orchestrator/runtime/failpoint.hpp"

#include "connectors/kafka/client.hpp"

#include <array>
#include <utility>

namespace spillway::kafka {

namespace {

constexpr int full_queue_wait_ms = 10;
constexpr std::size_t error_text_bytes = 512;

using step = transactional_producer::step;

/// Credentials or TLS that do not fit: waiting does not help.
bool is_access(rd_kafka_resp_err_t code) { return fault_of(code) == link_fault::refused; }

}  // namespace

transactional_producer::transactional_producer(std::size_t bytes, std::function<void()> wake)
    : record_bytes_max_(bytes), wake_(std::move(wake)) {}

transactional_producer::~transactional_producer() {
  if (!kafka_) return;
  const rdk_queue events(rd_kafka_queue_get_main(kafka_->get()));
  rd_kafka_queue_cb_event_enable(events.get(), nullptr, nullptr);
}

result<std::unique_ptr<transactional_producer>> transactional_producer::make(
    const kafka_settings& settings, const std::string& id, std::size_t record_bytes_max,
    std::function<void()> wake) {
  std::unique_ptr<transactional_producer> out(
      new transactional_producer(record_bytes_max, std::move(wake)));
  client_callbacks callbacks;
  auto* self = out.get();
  callbacks.delivered = [self](const rd_kafka_message_t& m) {
    auto done =
        self->book_.report(*static_cast<delivery_book::message*>(m._private), m.err, m.offset);
    if (done) self->stored_.push_back(std::move(*done));
  };
  callbacks.fatal = [self](rd_kafka_resp_err_t code, const std::string& reason) {
    (void)self->failed(code, reason);
  };
  auto made = client::make(settings, RD_KAFKA_PRODUCER, "owner " + id,
                           {{"transactional.id", id},
                            {"acks", "all"},
                            {"message.max.bytes", std::to_string(record_bytes_max)}},
                           std::move(callbacks));
  if (!made) return made.error();
  out->kafka_ = std::move(*made);
  const rdk_queue events(rd_kafka_queue_get_main(out->kafka_->get()));
  rd_kafka_queue_cb_event_enable(
      events.get(),
      [](rd_kafka_t*, void* opaque) { static_cast<transactional_producer*>(opaque)->wake_(); },
      self);
  return out;
}

step transactional_producer::failed(int code, const std::string& reason,
                                    const std::string& topic_full_name) {
  if (fault_) return step::failed;
  // What made the producer useless says more than what that did to a record or a call.
  std::array<char, error_text_bytes> text{};
  const auto fatal = rd_kafka_fatal_error(kafka_->get(), text.data(), text.size());
  if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fault_ = {fault_of(fatal), kafka_->explained(fatal, text.data(), topic_full_name)};
  } else {
    fault_ = {fault_of(code), kafka_->explained(code, reason, topic_full_name)};
  }
  return step::failed;
}

step transactional_producer::open(std::chrono::milliseconds slice) {
  const rdk_error error(rd_kafka_init_transactions(kafka_->get(), static_cast<int>(slice.count())));
  rd_kafka_poll(kafka_->get(), 0);
  if (fault_) return step::failed;
  if (!error) return step::done;
  const auto code = rd_kafka_error_code(error.get());
  if (!rd_kafka_error_is_retriable(error.get()) || rd_kafka_error_is_fatal(error.get()))
    return failed(code, rd_kafka_error_string(error.get()));
  if (const auto trouble = kafka_->last_trouble();
      trouble != RD_KAFKA_RESP_ERR_NO_ERROR && is_access(trouble))
    return failed(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, {});
  return step::pending;
}

step transactional_producer::send(std::uint64_t ticket,
                                  std::vector<delivery_book::addressed> records) {
  if (fault_) return step::failed;
  if (records.empty()) {
    stored_.push_back({ticket, {}, 0, {}});
    return step::done;
  }
  if (!in_transaction_) {
    const rdk_error error(rd_kafka_begin_transaction(kafka_->get()));
    if (error) return failed(rd_kafka_error_code(error.get()), rd_kafka_error_string(error.get()));
    in_transaction_ = true;
  }
  for (auto* m : book_.add(ticket, std::move(records), record_bytes_max_)) {
    for (;;) {
      const auto code =
          enqueue(kafka_->get(), kafka_->topic_handle(m->to), m->partition, m->what, m);
      if (code == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return failed(code, {}, topic_name(kafka_->settings(), m->to));
      rd_kafka_poll(kafka_->get(), full_queue_wait_ms);
      if (fault_) return step::failed;
    }
  }
  return step::done;
}

step transactional_producer::poll(std::vector<delivered_ticket>& stored) {
  while (rd_kafka_poll(kafka_->get(), 0) > 0) {
  }
  for (auto& done : std::exchange(stored_, {})) {
    if (done.code != 0) return failed(done.code, {}, topic_name(kafka_->settings(), done.of));
    stored.push_back(std::move(done));
  }
  return fault_ ? step::failed : step::done;
}

step transactional_producer::commit(std::chrono::milliseconds slice) {
  if (fault_) return step::failed;
  if (!in_transaction_) return step::done;
  failpoint("before_commit");
  const rdk_error error(
      rd_kafka_commit_transaction(kafka_->get(), static_cast<int>(slice.count())));
  if (fault_) return step::failed;
  if (!error) {
    in_transaction_ = false;
    return step::done;
  }
  const auto code = rd_kafka_error_code(error.get());
  const bool again = rd_kafka_error_is_retriable(error.get()) &&
                     !rd_kafka_error_txn_requires_abort(error.get()) &&
                     !rd_kafka_error_is_fatal(error.get());
  return again ? step::pending : failed(code, rd_kafka_error_string(error.get()));
}

}  // namespace spillway::kafka
