#include "connectors/kafka/client.hpp"

#include "orchestrator/runtime/masking.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>

namespace spillway::kafka {

namespace {

constexpr std::size_t error_text_bytes = 512;
/// The same line of librdkafka's log is told once in this time.
constexpr std::chrono::seconds repeat_after{30};
constexpr std::size_t told_max = 256;
/// librdkafka does not tell when a broker can be reached again, and repeats itself about this often
/// when it can't.
constexpr std::chrono::seconds trouble_lasts{60};

/// What a configuration may replace.
constexpr std::array<std::pair<const char*, const char*>, 16> defaults = {{
    {"client.id", "spillway"},
    {"socket.nagle.disable", "true"},  // else an intent's ack takes 25 ms instead of 4
    {"socket.keepalive.enable", "true"},
    {"retry.backoff.ms", "5"},  // every transaction waits one out
    {"linger.ms", "1"},
    {"reconnect.backoff.ms", "50"},
    {"reconnect.backoff.max.ms", "1000"},
    {"log.connection.close", "false"},
    {"fetch.error.backoff.ms", "50"},
    {"queue.buffering.max.kbytes", "262144"},
    {"topic.metadata.refresh.interval.ms", "60000"},
    // Topics are there before anything is written: one that is missing will not turn up.
    {"topic.metadata.propagation.max.ms", "5000"},
    // For each partition that is read: what waits here counts against a member's memory.
    {"queued.min.messages", "10000"},
    {"queued.max.messages.kbytes", "1024"},
    {"fetch.max.bytes", "16777216"},
    {"fetch.wait.max.ms", "250"},
}};

/// librdkafka tells of these when they are away for a moment, too.
bool is_reachability(int code) {
  return code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN ||
         code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__RESOLVE;
}

bool is_access(int code) {
  return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL ||
         code == RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED;
}

/// By kind.
std::array<std::atomic<std::int64_t>, error_kinds.size()> errors_told;

void count_error(int code) {
  const auto* const at = std::find(error_kinds.begin(), error_kinds.end(), kind_of_error(code));
  ++errors_told[static_cast<std::size_t>(at - error_kinds.begin())];
}

/// Was this line told lately, by any client?
bool told_lately(const std::string& line) {
  static std::mutex mutex;
  static std::map<std::string, std::chrono::steady_clock::time_point> told;
  const auto now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex);
  if (told.size() >= told_max)
    std::erase_if(told, [&](const auto& t) { return now - t.second > repeat_after; });
  if (told.size() >= told_max) return true;
  const auto [at, fresh] = told.emplace(line, now);
  if (!fresh && now - at->second <= repeat_after) return true;
  at->second = now;
  return false;
}

result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, error_text_bytes> text{};
  if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size()) ==
      RD_KAFKA_CONF_OK)
    return {};
  // librdkafka's message may quote the value.
  const std::string why = is_secret_property(name) ? "its value can't be used" : text.data();
  return failure{failure_kind::usage, "kafka.properties." + name + ": " + why + "."};
}

}  // namespace

std::map<std::string, std::int64_t> broker_errors() {
  std::map<std::string, std::int64_t> out;
  for (std::size_t i = 0; i < error_kinds.size(); ++i)
    out.emplace(error_kinds[i], errors_told[i].load());
  return out;
}

result<std::unique_ptr<client>> client::make(const kafka_settings& settings, rd_kafka_type_t type,
                                             std::string role, const forced_properties& forced,
                                             client_callbacks callbacks) {
  std::unique_ptr<client> out(new client(settings, std::move(role), std::move(callbacks)));
  std::unique_ptr<rd_kafka_conf_t, rdk_delete<rd_kafka_conf_destroy>> conf(rd_kafka_conf_new());
  for (const auto& [name, value] : defaults)
    if (auto ok = set(conf.get(), name, value); !ok) return ok.error();
  for (const auto& [name, reference] : settings.properties) {
    const auto value = resolve_secret(name, reference);
    if (!value) return value.error();
    if (auto ok = set(conf.get(), name, *value); !ok) return ok.error();
    if (!value->empty() && (is_secret_property(name) || *value != reference))
      out->secrets_.push_back(*value);
  }
  if (auto ok = set(conf.get(), "bootstrap.servers", settings.brokers); !ok) return ok.error();
  for (const auto& [name, value] : forced) {
    if (auto ok = set(conf.get(), name, value); !ok) return ok.error();
    if (name == "transactional.id") out->transactional_id_ = value;
    if (name == "group.instance.id") out->instance_ = value;
  }
  out->configure(conf.get());
  std::array<char, error_text_bytes> text{};
  out->handle_ = rd_kafka_new(type, conf.get(), text.data(), text.size());
  if (out->handle_ == nullptr)
    return failure{failure_kind::usage, "Kafka: the settings can't be used: " +
                                            out->redacted(std::string(text.data())) + "."};
  (void)conf.release();  // rd_kafka_new took it
  return out;
}

void client::configure(rd_kafka_conf_t* conf) {
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_log_cb(
      conf, [](const rd_kafka_t* rk, int level, const char* facility, const char* text) {
        static_cast<client*>(rd_kafka_opaque(rk))->on_log(level, facility, text);
      });
  rd_kafka_conf_set_error_cb(conf, [](rd_kafka_t*, int code, const char* reason, void* self) {
    static_cast<client*>(self)->on_error(code, reason);
  });
  if (callbacks_.delivered)
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* m, void* self) {
      static_cast<client*>(self)->callbacks_.delivered(*m);
    });
  if (callbacks_.rebalance)
    rd_kafka_conf_set_rebalance_cb(
        conf, [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* list,
                 void* self) { static_cast<client*>(self)->callbacks_.rebalance(code, list); });
}

client::~client() {
  topics_.clear();
  if (handle_ == nullptr) return;
  // Closing a consumer is its owner's business; waiting for a broker here could take for ever.
  rd_kafka_destroy_flags(handle_, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

std::string client::redacted(std::string text) const { return masked(std::move(text), secrets_); }

void client::on_error(int code, std::string reason) {
  reason = redacted(std::move(reason));
  // "(after 3ms in state CONNECT, 4 identical error(s) suppressed)"
  if (const auto tail = reason.find(" (after "); tail != std::string::npos) reason.resize(tail);
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    std::array<char, error_text_bytes> text{};
    const auto original = rd_kafka_fatal_error(handle_, text.data(), text.size());
    count_error(original);
    spdlog::debug("kafka {}: fatal: {}", role_, redacted(text.data()));
    if (callbacks_.fatal) callbacks_.fatal(original, redacted(text.data()));
    return;
  }
  count_error(code);
  if (is_reachability(code) || is_access(code)) {
    const bool known = last_trouble() != RD_KAFKA_RESP_ERR_NO_ERROR;
    // What all brokers have in common says less than what one of them said.
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && known) return;
    const std::lock_guard lock(mutex_);
    trouble_ = {static_cast<rd_kafka_resp_err_t>(code), reason, std::chrono::steady_clock::now()};
  }
  // Every client tells of every broker that is away; once is enough.
  const bool repeats = is_reachability(code);
  const auto line =
      explain(code, reason, {settings_.brokers, {}, settings_.fleet, transactional_id_, instance_})
          .message;
  if (!told_lately(repeats ? rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(code)) : line))
    spdlog::warn("{}", line);
  if (callbacks_.error) callbacks_.error(static_cast<rd_kafka_resp_err_t>(code), reason);
}

void client::on_log(int level, std::string_view facility, std::string text) {
  // A producer's setting on a consumer and the like: one configuration serves all clients.
  if (facility == "CONFWARN") return;
  text = redacted(std::move(text));
  constexpr int syslog_warning = 4, syslog_debug = 7;
  // What these tell of comes as an error of a call, too, and is explained there.
  constexpr std::array<std::string_view, 6> explained_elsewhere = {"FAIL",   "ERROR",  "FATAL",
                                                                   "TXNERR", "GETPID", "TERMINATE"};
  const bool known = std::find(explained_elsewhere.begin(), explained_elsewhere.end(), facility) !=
                     explained_elsewhere.end();
  if (level > syslog_warning || known) {
    spdlog::log(level >= syslog_debug ? spdlog::level::trace : spdlog::level::debug,
                "kafka {}: {}: {}", role_, facility, text);
  } else if (!told_lately(text)) {
    spdlog::warn("kafka {}: {}: {}", role_, facility, text);
  }
}

failure client::explained(int code, std::string_view reason,
                          std::string_view topic_full_name) const {
  error_context context;
  context.brokers = settings_.brokers;
  context.topic = topic_full_name;
  context.group = settings_.fleet;
  context.transactional_id = transactional_id_;
  context.instance = instance_;
  if (code == RD_KAFKA_RESP_ERR__FATAL) {
    // A call can be refused for it before the error itself was told.
    std::array<char, error_text_bytes> text{};
    const auto original = rd_kafka_fatal_error(handle_, text.data(), text.size());
    if (original != RD_KAFKA_RESP_ERR_NO_ERROR)
      return explain(original, redacted(text.data()), context);
  }
  const bool silent = reason.empty() && is_reachability(code);
  if (silent || code == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    const auto known = last_trouble();
    const std::lock_guard lock(mutex_);
    if (known != RD_KAFKA_RESP_ERR_NO_ERROR) return explain(known, trouble_.reason, context);
  }
  return explain(code, redacted(std::string(reason)), context);
}

rd_kafka_resp_err_t client::last_trouble() const {
  const std::lock_guard lock(mutex_);
  const bool old = std::chrono::steady_clock::now() - trouble_.at > trouble_lasts;
  return old ? RD_KAFKA_RESP_ERR_NO_ERROR : trouble_.code;
}

result<void> client::reach(std::chrono::milliseconds timeout) const {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  constexpr std::chrono::milliseconds slice{250};
  for (;;) {
    const rd_kafka_metadata_t* found = nullptr;
    const auto code = rd_kafka_metadata(handle_, 0, nullptr, &found, slice.count());
    if (found != nullptr) rd_kafka_metadata_destroy(found);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
    rd_kafka_poll(handle_, 0);  // serves the error callback
    const auto trouble = last_trouble();
    // Credentials do not become right by waiting.
    if (is_access(trouble) || std::chrono::steady_clock::now() >= deadline) return explained(code);
  }
}

rd_kafka_topic_t* client::topic_handle(topic t) {
  const std::lock_guard lock(mutex_);
  auto& slot = topics_[t];
  if (!slot) slot.reset(rd_kafka_topic_new(handle_, topic_name(settings_, t).c_str(), nullptr));
  return slot.get();
}

rd_kafka_resp_err_t enqueue(rd_kafka_t* handle, rd_kafka_topic_t* where, std::int32_t partition,
                            const record& r, void* opaque) {
  auto* headers = rd_kafka_headers_new(r.headers.size());
  for (const auto& [name, value] : r.headers)
    rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                        static_cast<ssize_t>(value.size()));
  // librdkafka does not write to the value; its interface is older than const.
  auto* value = r.tombstone ? nullptr : const_cast<char*>(r.value.data());
  const auto code =
      rd_kafka_producev(handle, RD_KAFKA_V_RKT(where), RD_KAFKA_V_PARTITION(partition),
                        RD_KAFKA_V_VALUE(value, r.tombstone ? 0 : r.value.size()),
                        RD_KAFKA_V_KEY(r.key.data(), r.key.size()), RD_KAFKA_V_HEADERS(headers),
                        RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) rd_kafka_headers_destroy(headers);
  return code;
}

stored_record to_record(const rd_kafka_message_t& m) {
  stored_record out;
  out.offset = m.offset;
  out.timestamp_ms = std::max<std::int64_t>(0, rd_kafka_message_timestamp(&m, nullptr));
  if (m.key != nullptr) out.what.key.assign(static_cast<const char*>(m.key), m.key_len);
  out.what.tombstone = m.payload == nullptr;
  if (m.payload != nullptr) out.what.value.assign(static_cast<const char*>(m.payload), m.len);
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return out;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t bytes = 0;
  for (std::size_t i = 0;
       rd_kafka_header_get_all(headers, i, &name, &value, &bytes) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i)
    out.what.headers.emplace_back(name,
                                  std::string(static_cast<const char*>(value), value ? bytes : 0));
  return out;
}

}  // namespace spillway::kafka
