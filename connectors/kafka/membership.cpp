#include "connectors/kafka/membership.hpp"

#include "connectors/kafka/client.hpp"
#include "connectors/kafka/group_offsets.hpp"

#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <thread>

namespace spillway::kafka {

namespace {

using clock = std::chrono::steady_clock;

constexpr int poll_ms = 100;

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock::now().time_since_epoch())
      .count();
}

constexpr std::size_t error_text_bytes = 512;

/// How long after an outage a member may be fenced by itself, and how often it then comes back: an
/// older request to join can be behind a younger one.
constexpr std::chrono::seconds outage_echo{60};
constexpr int comebacks_max = 3;

/// What is no matter of a moment.
bool is_lasting(rd_kafka_resp_err_t code) {
  return fault_of(code) == link_fault::refused || code == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED;
}

class rdkafka_membership final : public membership {
 public:
  explicit rdkafka_membership(membership_callbacks c) : callbacks_(std::move(c)) {}
  ~rdkafka_membership() override {
    closing_ = true;
    if (thread_.joinable()) thread_.join();
  }

  result<void> start(const kafka_settings& settings, const std::string& member_id);

  void show_done(std::map<std::int32_t, std::int64_t> done) override {
    offsets_.show(std::move(done));
  }
  partition_set assigned() const override {
    const std::lock_guard lock(mutex_);
    return owned_;
  }
  std::chrono::milliseconds since_poll() const override {
    return std::chrono::milliseconds(now_ms() - polled_at_ms_);
  }

 private:
  result<void> open();
  void run();
  void rebalance(rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*);
  void take(rd_kafka_topic_partition_list_t*);
  void give_back();
  void check_fatal();
  void answer_fence();
  void remember(partition_set owned) {
    const std::lock_guard lock(mutex_);
    owned_ = std::move(owned);
  }

  membership_callbacks callbacks_;
  kafka_settings settings_;
  std::string member_id_, topic_;
  std::unique_ptr<client> kafka_;
  group_offsets offsets_;
  bool fatal_ = false;
  std::optional<std::string> fenced_;  ///< what was said, until it is answered
  int comebacks_ = 0;
  std::optional<clock::time_point> came_back_at_;
  std::atomic<bool> closing_ = false;
  std::atomic<std::int64_t> polled_at_ms_ = now_ms();
  mutable std::mutex mutex_;
  partition_set owned_;
  std::thread thread_;
};

result<void> rdkafka_membership::start(const kafka_settings& settings,
                                       const std::string& member_id) {
  settings_ = settings;
  member_id_ = member_id;
  topic_ = topic_name(settings, topic::shards);
  if (auto opened = open(); !opened) return opened.error();
  thread_ = std::thread([this] { run(); });
  return {};
}

result<void> rdkafka_membership::open() {
  client_callbacks callbacks;
  callbacks.rebalance = [this](rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list) {
    rebalance(code, list);
  };
  callbacks.error = [this](rd_kafka_resp_err_t code, const std::string& reason) {
    if (is_lasting(code) && !closing_ && callbacks_.trouble)
      callbacks_.trouble(kafka_->explained(code, reason, topic_).message);
  };
  auto made = client::make(settings_, RD_KAFKA_CONSUMER, "member " + member_id_,
                           {{"group.id", settings_.fleet},
                            {"group.instance.id", member_id_},
                            {"partition.assignment.strategy", "range"},
                            {"session.timeout.ms", "6000"},
                            {"heartbeat.interval.ms", "1000"},
                            // How long a rebalance waits for a member that does not answer.
                            {"max.poll.interval.ms", "60000"},
                            // What waits for a coordinator that is gone must not keep the member
                            // from joining again.
                            {"socket.timeout.ms", "10000"},
                            {"enable.auto.commit", "false"},
                            {"enable.auto.offset.store", "false"},
                            {"auto.offset.reset", "latest"},
                            {"allow.auto.create.topics", "false"},
                            {"topic.metadata.refresh.interval.ms", "30000"},
                            {"queued.min.messages", "1"}},
                           std::move(callbacks));
  if (!made) return made.error();
  kafka_ = std::move(*made);
  rd_kafka_poll_set_consumer(kafka_->get());
  const rdk_partitions topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto code = rd_kafka_subscribe(kafka_->get(), topics.get());
      code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka_->explained(code, {}, topic_);
  offsets_.start(*kafka_, topic_);
  return {};
}

void rdkafka_membership::run() {
  while (!closing_) {
    polled_at_ms_ = now_ms();
    if (fenced_) answer_fence();
    const rdk_message message(rd_kafka_consumer_poll(kafka_->get(), poll_ms));
    check_fatal();
    const bool reachable = kafka_->last_trouble() == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!fatal_ && reachable) offsets_.commit_if_due(assigned());
    if (!message || message->err == RD_KAFKA_RESP_ERR_NO_ERROR || fatal_) continue;
    if (is_lasting(message->err) && callbacks_.trouble)
      callbacks_.trouble(
          kafka_->explained(message->err, rd_kafka_message_errstr(message.get()), topic_).message);
  }
  if (!fatal_) {
    offsets_.settle();
    offsets_.commit(assigned());
    offsets_.settle();
  }
  offsets_.stop();
  // Leaves no word: a static member that comes back within the session gets the same partitions.
  rd_kafka_consumer_close(kafka_->get());
  kafka_.reset();
}

void rdkafka_membership::rebalance(rd_kafka_resp_err_t code,
                                   rd_kafka_topic_partition_list_t* list) {
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !closing_) {
    take(list);
  } else {
    check_fatal();
    if (!closing_) give_back();
    rd_kafka_assign(kafka_->get(), nullptr);
  }
  polled_at_ms_ = now_ms();
}

void rdkafka_membership::take(rd_kafka_topic_partition_list_t* list) {
  partition_set owned;
  for (int i = 0; i < list->cnt; ++i) {
    owned.insert(list->elems[i].partition);
    list->elems[i].offset = RD_KAFKA_OFFSET_END;  // no question for committed offsets
  }
  rd_kafka_assign(kafka_->get(), list);
  rd_kafka_pause_partitions(kafka_->get(), list);
  offsets_.forget();
  remember(owned);
  spdlog::info("The group assigns {} partitions to this member.", owned.size());
  if (callbacks_.assigned) callbacks_.assigned(owned);
}

void rdkafka_membership::give_back() {
  const auto owned = assigned();
  const bool lost = rd_kafka_assignment_lost(kafka_->get()) != 0;
  spdlog::info(
      "The group {} {} partitions.",
      lost ? "went on without this member and its" : "redistributes; this member gives back",
      owned.size());
  const auto& tell = lost ? callbacks_.lost : callbacks_.revoked;
  if (tell && !fatal_) tell(owned);
  offsets_.settle();
  remember({});
}

/// A fatal error comes in several ways; whichever it was, it stays.
void rdkafka_membership::check_fatal() {
  if (fatal_) return;
  std::array<char, error_text_bytes> text{};
  const auto code = rd_kafka_fatal_error(kafka_->get(), text.data(), text.size());
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return;
  fatal_ = true;
  const auto owned = assigned();
  remember({});
  const auto message = kafka_->explained(code, text.data()).message;
  if (code != RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
    if (callbacks_.trouble) callbacks_.trouble(message);
    return;
  }
  fenced_ = message;
  if (!owned.empty() && callbacks_.lost) callbacks_.lost(owned);
}

/// Another process has this member's name, or it fenced itself: after an outage a request to join
/// that was given up reaches the broker behind the one that was made later. The group does not tell
/// which it was: the one it lists under this name shows the marks of the first. Should another
/// process be there in an outage, both come back a few times, and then one makes way.
void rdkafka_membership::answer_fence() {
  const auto why = *std::exchange(fenced_, std::nullopt);
  const auto now = clock::now();
  const bool again = came_back_at_ && now - *came_back_at_ < outage_echo;
  const bool outage = kafka_->last_trouble() != RD_KAFKA_RESP_ERR_NO_ERROR;
  if (!again) comebacks_ = 0;
  if ((!outage && !again) || comebacks_ == comebacks_max) {
    if (callbacks_.fenced) callbacks_.fenced(why);
    return;
  }
  ++comebacks_;
  came_back_at_ = now;
  spdlog::warn("member {} may have been fenced by a late request of its own: it joins again",
               member_id_);
  offsets_.stop();
  rd_kafka_consumer_close(kafka_->get());
  if (const auto opened = open(); !opened) {
    if (callbacks_.fenced) callbacks_.fenced(opened.error().message);
    return;
  }
  fatal_ = false;
}

}  // namespace

result<std::unique_ptr<membership>> membership::join(const kafka_settings& settings,
                                                     const std::string& member_id,
                                                     membership_callbacks callbacks) {
  if (auto ok = check_settings(settings); !ok) return ok.error();
  auto made = std::make_unique<rdkafka_membership>(std::move(callbacks));
  if (auto started = made->start(settings, member_id); !started) return started.error();
  return std::unique_ptr<membership>(std::move(made));
}

}  // namespace spillway::kafka
