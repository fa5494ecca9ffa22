// One librdkafka client with Spillway's settings. Inside connectors/kafka only: the files that see
// librdkafka are those that include this.
#pragma once

#include "connectors/kafka/explain.hpp"
#include "connectors/kafka/record.hpp"
#include "connectors/kafka/settings.hpp"
#include "schemas/result.hpp"

#include <librdkafka/rdkafka.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::kafka {

template <auto Destroy>
struct rdk_delete {
  void operator()(auto* what) const { Destroy(what); }
};
using rdk_error = std::unique_ptr<rd_kafka_error_t, rdk_delete<rd_kafka_error_destroy>>;
using rdk_message = std::unique_ptr<rd_kafka_message_t, rdk_delete<rd_kafka_message_destroy>>;
using rdk_queue = std::unique_ptr<rd_kafka_queue_t, rdk_delete<rd_kafka_queue_destroy>>;
using rdk_topic = std::unique_ptr<rd_kafka_topic_t, rdk_delete<rd_kafka_topic_destroy>>;
using rdk_event = std::unique_ptr<rd_kafka_event_t, rdk_delete<rd_kafka_event_destroy>>;
using rdk_partitions = std::unique_ptr<rd_kafka_topic_partition_list_t,
                                       rdk_delete<rd_kafka_topic_partition_list_destroy>>;
using rdk_admin_options =
    std::unique_ptr<rd_kafka_AdminOptions_t, rdk_delete<rd_kafka_AdminOptions_destroy>>;

/// Properties that this client needs whatever is configured.
using forced_properties = std::vector<std::pair<std::string, std::string>>;

/// Called where the client is polled, or from a call that serves it.
struct client_callbacks {
  std::function<void(const rd_kafka_message_t&)> delivered;
  std::function<void(rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*)> rebalance;
  /// librdkafka can't go on with this client.
  std::function<void(rd_kafka_resp_err_t, const std::string& reason)> fatal;
  /// Any other error it tells of; most heal by themselves.
  std::function<void(rd_kafka_resp_err_t, const std::string& reason)> error;
};

/// Thread-safe like the library, but for construction and destruction.
class client {
 public:
  /// Fails (usage) when a setting can't be used. `role` is for the log.
  [[nodiscard]] static result<std::unique_ptr<client>> make(const kafka_settings&, rd_kafka_type_t,
                                                            std::string role,
                                                            const forced_properties&,
                                                            client_callbacks = {});
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  [[nodiscard]] rd_kafka_t* get() const { return handle_; }
  [[nodiscard]] const kafka_settings& settings() const { return settings_; }

  /// In one line. A time-out is told as what the client last heard of its brokers, when it did.
  [[nodiscard]] failure explained(int code, std::string_view reason = {},
                                  std::string_view topic_full_name = {}) const;
  /// What kept it from its brokers lately, as librdkafka's error; NO_ERROR when nothing did.
  [[nodiscard]] rd_kafka_resp_err_t last_trouble() const;
  /// Waits for an answer of any broker; says why there is none.
  [[nodiscard]] result<void> reach(std::chrono::milliseconds) const;
  /// A topic handle, kept with the client.
  [[nodiscard]] rd_kafka_topic_t* topic_handle(topic);

 private:
  client(const kafka_settings& s, std::string role, client_callbacks c)
      : settings_(s), role_(std::move(role)), callbacks_(std::move(c)) {}
  void configure(rd_kafka_conf_t*);
  void on_error(int code, std::string reason);
  void on_log(int level, std::string_view facility, std::string text);
  [[nodiscard]] std::string redacted(std::string) const;

  kafka_settings settings_;
  std::string role_, transactional_id_, instance_;
  std::vector<std::string> secrets_;
  client_callbacks callbacks_;
  rd_kafka_t* handle_ = nullptr;
  mutable std::mutex mutex_;
  struct told_error {
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
    std::string reason;
    std::chrono::steady_clock::time_point at;
  };
  told_error trouble_;
  std::map<topic, rdk_topic> topics_;
};

/// Errors that all clients of this process were told of since it started, by kind (`explain.hpp`).
[[nodiscard]] std::map<std::string, std::int64_t> broker_errors();

/// Into librdkafka's queue; the record must live until its delivery report, which has `opaque`.
/// No copy of the value is made.
[[nodiscard]] rd_kafka_resp_err_t enqueue(rd_kafka_t*, rd_kafka_topic_t*, std::int32_t partition,
                                          const record&, void* opaque);
[[nodiscard]] stored_record to_record(const rd_kafka_message_t&);

}  // namespace spillway::kafka
