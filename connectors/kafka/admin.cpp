#include "connectors/kafka/admin.hpp"

#include "connectors/kafka/client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>

namespace spillway::kafka {

namespace {

constexpr int answer_ms_max = 10'000, attempts_max = 3;
constexpr std::size_t error_text_bytes = 512, record_bytes_default = 1'000'000,
                      record_bytes_min = 16'384;

using rdk_metadata =
    std::unique_ptr<const rd_kafka_metadata_t, rdk_delete<rd_kafka_metadata_destroy>>;
using rdk_new_topic = std::unique_ptr<rd_kafka_NewTopic_t, rdk_delete<rd_kafka_NewTopic_destroy>>;
using rdk_config =
    std::unique_ptr<rd_kafka_ConfigResource_t, rdk_delete<rd_kafka_ConfigResource_destroy>>;
using rdk_delete_records =
    std::unique_ptr<rd_kafka_DeleteRecords_t, rdk_delete<rd_kafka_DeleteRecords_destroy>>;

result<rdk_metadata> metadata_of(client& kafka, topic t) {
  const rd_kafka_metadata_t* found = nullptr;
  const auto code = rd_kafka_metadata(kafka.get(), 0, kafka.topic_handle(t), &found, answer_ms_max);
  rd_kafka_poll(kafka.get(), 0);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka.explained(code, {}, topic_name(kafka.settings(), t));
  return rdk_metadata(found);
}

bool is_missing(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
         code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
}

/// Runs one admin call and gives its result's event.
result<rdk_event> run_admin(
    client& kafka, topic t,
    const std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>& call) {
  const rdk_queue queue(rd_kafka_queue_new(kafka.get()));
  const rdk_admin_options options(rd_kafka_AdminOptions_new(kafka.get(), RD_KAFKA_ADMIN_OP_ANY));
  std::array<char, error_text_bytes> text{};
  rd_kafka_AdminOptions_set_request_timeout(options.get(), answer_ms_max, text.data(), text.size());
  call(options.get(), queue.get());
  rdk_event event(rd_kafka_queue_poll(queue.get(), answer_ms_max + 1000));
  rd_kafka_poll(kafka.get(), 0);
  const auto name = topic_name(kafka.settings(), t);
  if (!event) return kafka.explained(RD_KAFKA_RESP_ERR__TIMED_OUT, {}, name);
  if (const auto code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return kafka.explained(code, rd_kafka_event_error_string(event.get()), name);
  return event;
}

std::optional<std::size_t> number_of(const std::string& text) {
  std::size_t value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || at != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

admin::admin() = default;
admin::~admin() = default;

result<std::unique_ptr<admin>> admin::make(const kafka_settings& settings) {
  std::unique_ptr<admin> out(new admin);
  // Consumers, because a producer that names a missing topic may make the broker create it.
  const auto made = [&](const char* isolation) {
    return client::make(settings, RD_KAFKA_CONSUMER, "admin",
                        {{"allow.auto.create.topics", "false"}, {"isolation.level", isolation}});
  };
  auto stable = made("read_committed");
  if (!stable) return stable.error();
  auto all = made("read_uncommitted");
  if (!all) return all.error();
  out->stable_ = std::move(*stable);
  out->all_ = std::move(*all);
  return out;
}

result<void> admin::reach(std::chrono::milliseconds timeout) const { return all_->reach(timeout); }

result<std::optional<std::int32_t>> admin::partitions_of(topic t) {
  const auto found = metadata_of(*all_, t);
  if (!found) return found.error();
  const auto& metadata = **found;
  if (metadata.topic_cnt != 1) return std::optional<std::int32_t>();
  const auto& entry = metadata.topics[0];
  if (is_missing(entry.err)) return std::optional<std::int32_t>();
  if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return all_->explained(entry.err, {}, topic_name(all_->settings(), t));
  return std::optional<std::int32_t>(entry.partition_cnt);
}

result<std::int32_t> admin::replication_of(topic t) {
  const auto found = metadata_of(*all_, t);
  if (!found) return found.error();
  const auto& metadata = **found;
  std::int32_t fewest = metadata.topic_cnt == 1 && metadata.topics[0].partition_cnt > 0
                            ? metadata.topics[0].partitions[0].replica_cnt
                            : 0;
  if (metadata.topic_cnt == 1)
    for (int i = 0; i < metadata.topics[0].partition_cnt; ++i)
      fewest = std::min(fewest, metadata.topics[0].partitions[i].replica_cnt);
  return fewest;
}

result<partition_offsets> admin::offsets(topic t, std::int32_t partition) {
  const auto name = topic_name(all_->settings(), t);
  partition_offsets out;
  const auto ask = [&](client& kafka, std::int64_t& end) {
    auto code = RD_KAFKA_RESP_ERR_NO_ERROR;
    // The first question after a change of leaders goes to the old one. The library would go on
    // asking it for minutes: it looks for new leaders only of topics that it has a handle of.
    for (int i = 0; i < attempts_max; ++i) {
      if (i > 0 && !metadata_of(kafka, t)) break;
      code = rd_kafka_query_watermark_offsets(kafka.get(), name.c_str(), partition, &out.first,
                                              &end, answer_ms_max);
      const bool moved = code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
                         code == RD_KAFKA_RESP_ERR__TRANSPORT ||
                         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
      if (!moved) break;
    }
    rd_kafka_poll(kafka.get(), 0);
    return code;
  };
  // The stable end first: it can only have grown when the other one is known.
  for (auto* which : {&stable_, &all_}) {
    auto& end = which == &stable_ ? out.last_stable : out.high_watermark;
    if (const auto code = ask(**which, end); code != RD_KAFKA_RESP_ERR_NO_ERROR)
      return (*which)->explained(code, {}, name);
  }
  return out;
}

result<void> admin::trim(topic t, std::int32_t partition, std::int64_t offset) {
  const auto name = topic_name(all_->settings(), t);
  const rdk_partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), name.c_str(), partition)->offset = offset;
  const rdk_delete_records order(rd_kafka_DeleteRecords_new(list.get()));
  auto* one = order.get();
  const auto event = run_admin(*all_, t, [&](auto* options, auto* queue) {
    rd_kafka_DeleteRecords(all_->get(), &one, 1, options, queue);
  });
  if (!event) return event.error();
  const auto* found =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event->get()));
  if (found != nullptr && found->cnt == 1 && found->elems[0].err != RD_KAFKA_RESP_ERR_NO_ERROR)
    return all_->explained(found->elems[0].err, {}, name);
  return {};
}

result<bool> admin::create(const new_topic& wanted) {
  const auto name = topic_name(all_->settings(), wanted.of);
  std::array<char, error_text_bytes> text{};
  const rdk_new_topic order(rd_kafka_NewTopic_new(name.c_str(), wanted.partitions,
                                                  wanted.replication, text.data(), text.size()));
  if (!order) return all_->explained(RD_KAFKA_RESP_ERR__INVALID_ARG, text.data(), name);
  for (const auto& [key, value] : wanted.config)
    rd_kafka_NewTopic_set_config(order.get(), key.c_str(), value.c_str());
  auto* one = order.get();
  const auto event = run_admin(*all_, wanted.of, [&](auto* options, auto* queue) {
    // The answer comes once the brokers know the topic, not only the controller.
    std::array<char, error_text_bytes> why{};
    rd_kafka_AdminOptions_set_operation_timeout(const_cast<rd_kafka_AdminOptions_t*>(options),
                                                answer_ms_max, why.data(), why.size());
    rd_kafka_CreateTopics(all_->get(), &one, 1, options, queue);
  });
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* const* found =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  if (count != 1) return all_->explained(RD_KAFKA_RESP_ERR__BAD_MSG, {}, name);
  const auto code = rd_kafka_topic_result_error(found[0]);
  if (code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) return false;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return true;
  const auto* why = rd_kafka_topic_result_error_string(found[0]);
  return all_->explained(code, why == nullptr ? "" : why, name);
}

result<std::map<std::string, std::string>> admin::config_of(topic t) {
  const auto name = topic_name(all_->settings(), t);
  const rdk_config order(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  auto* one = order.get();
  const auto event = run_admin(*all_, t, [&](auto* options, auto* queue) {
    rd_kafka_DescribeConfigs(all_->get(), &one, 1, options, queue);
  });
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* const* found = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event->get()), &count);
  if (count != 1) return all_->explained(RD_KAFKA_RESP_ERR__BAD_MSG, {}, name);
  if (const auto code = rd_kafka_ConfigResource_error(found[0]);
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    const auto* why = rd_kafka_ConfigResource_error_string(found[0]);
    return all_->explained(code, why == nullptr ? "" : why, name);
  }
  std::map<std::string, std::string> out;
  const auto* const* entries = rd_kafka_ConfigResource_configs(found[0], &count);
  for (std::size_t i = 0; i < count; ++i) {
    const auto* value = rd_kafka_ConfigEntry_value(entries[i]);
    out[rd_kafka_ConfigEntry_name(entries[i])] = value == nullptr ? "" : value;
  }
  return out;
}

std::size_t record_bytes_max(admin& brokers, const kafka_settings& settings) {
  std::size_t limit = record_bytes_default;
  const auto configured = settings.properties.find("message.max.bytes");
  if (configured != settings.properties.end())
    limit = number_of(configured->second).value_or(limit);
  for (const auto t : {topic::shards, topic::results, topic::journal, topic::late, topic::jobs}) {
    const auto config = brokers.config_of(t);
    if (!config) continue;
    const auto found = config->find("max.message.bytes");
    if (found == config->end()) continue;
    limit = std::min(limit, number_of(found->second).value_or(limit));
  }
  return std::max(limit, record_bytes_min);
}

}  // namespace spillway::kafka
