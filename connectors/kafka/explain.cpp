#include "connectors/kafka/explain.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <iterator>

namespace spillway::kafka {

namespace {

struct explanation {
  int code;
  failure_kind kind;
  link_fault fault;
  /// {brokers} {topic} {group} {id} {instance} stand for the context.
  std::string_view text;
};

using enum failure_kind;
using enum link_fault;

constexpr explanation explanations[] = {
    // Not reached.
    {RD_KAFKA_RESP_ERR__TRANSPORT, storage, ambiguous,
     "no connection to a broker of {brokers}. Check that it runs and that `brokers` names it"},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, storage, ambiguous,
     "none of {brokers} can be reached. Check that the brokers run, that `brokers` names them, and "
     "that "
     "security.protocol is theirs"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, storage, ambiguous,
     "no answer from {brokers} in time. Check that the brokers run, that their "
     "advertised.listeners "
     "can be reached from here, and that security.protocol is theirs"},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, storage, ambiguous,
     "a record for {topic} was not stored in time. Check that the partition has a leader and "
     "enough "
     "in-sync replicas"},
    {RD_KAFKA_RESP_ERR__RESOLVE, usage, ambiguous,
     "a host name of {brokers} is not known. Check `brokers` and the name service"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, storage, ambiguous,
     "the broker did not finish a request in time. Check its load and its log"},
    // Not let in.
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, usage, refused,
     "the broker refused the credentials. Check sasl.mechanism, sasl.username and sasl.password"},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, usage, refused,
     "the broker refused the credentials. Check sasl.mechanism, sasl.username and sasl.password"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, usage, refused,
     "the broker does not offer this SASL mechanism. Set sasl.mechanism to one it offers"},
    {RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, usage, refused,
     "the broker expects no SASL on this port. Check security.protocol and the port"},
    {RD_KAFKA_RESP_ERR__SSL, usage, refused,
     "no TLS connection to {brokers}. Check security.protocol, ssl.ca.location, the host names in "
     "the "
     "broker's certificate, and the port"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, usage, refused,
     "not allowed on topic {topic}. Let an administrator grant this user Read, Write, Describe and "
     "DescribeConfigs on it (serve: Delete, too; topics create: Create and Alter)"},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, usage, refused,
     "not allowed in group {group}. Let an administrator grant this user Read and Describe on it"},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, usage, refused,
     "not allowed to write with transactional id {id}. Let an administrator grant this user Write "
     "and "
     "Describe on transactional ids with the fleet's prefix"},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, usage, refused,
     "the user may not do this on the cluster. Let an administrator grant it (Create to create "
     "topics, "
     "IdempotentWrite on old brokers)"},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, usage, refused,
     "the broker has no authorizer, and the request needs one"},
    // Not there, or not as it has to be.
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, usage, refused,
     "topic {topic} or its partition does not exist. Run `spillway topics create`, or check "
     "`fleet`"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, usage, refused,
     "topic {topic} does not exist. Run `spillway topics create`, or check `fleet`"},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, usage, refused,
     "a partition of topic {topic} does not exist. Run `spillway topics create` to see how many "
     "the "
     "fleet has; their number never changes"},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, usage, refused,
     "the broker refuses the name {topic}. Use letters, digits, '.', '_' and '-' in `fleet`"},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, usage, refused, "topic {topic} exists already"},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, usage, refused,
     "the broker refuses this number of partitions for {topic}. Choose a smaller one"},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, usage, refused,
     "the broker refuses this replication for {topic}. Ask for no more replicas than there are "
     "brokers up"},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, usage, refused,
     "the broker refuses a setting of topic {topic}. Its message says which"},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, usage, refused,
     "a policy of the cluster forbids this for {topic}. Ask its administrator"},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, usage, refused,
     "a record is larger than topic {topic} takes. Leave message.max.bytes unset, or set it below "
     "the "
     "topic's max.message.bytes"},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, usage, refused,
     "a batch is larger than a segment of topic {topic}. Lower batch.size, or raise segment.bytes"},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, usage, refused,
     "the broker refuses a record for {topic}. Check that the topic's cleanup.policy is as "
     "`spillway "
     "topics create` sets it"},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, usage, refused,
     "the broker allows no such transaction.timeout.ms. Lower it, or raise the broker's "
     "transaction.max.timeout.ms"},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, storage, ambiguous,
     "the log of {topic} does not hold the offset that is needed. Records may have been deleted, "
     "or "
     "the topic made anew"},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, storage, ambiguous,
     "the log of {topic} does not hold the offset that is needed. Records may have been deleted, "
     "or "
     "the topic made anew"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, usage, refused,
     "the broker does not speak what is needed. Kafka 2.5 or newer is"},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, usage, refused,
     "the broker, or this build's librdkafka, lacks what is needed. Kafka 2.5 or newer is"},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, usage, refused, "librdkafka refuses a setting"},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, usage, refused,
     "the broker does not take this compression.type. Choose another"},
    // For a time, or on the broker's side.
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, storage, ambiguous,
     "topic {topic} has fewer in-sync replicas than min.insync.replicas. Bring the missing brokers "
     "back; writing goes on by itself"},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, storage, ambiguous,
     "topic {topic} has fewer in-sync replicas than min.insync.replicas. Bring the missing brokers "
     "back; writing goes on by itself"},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, storage, ambiguous,
     "a partition of {topic} has no leader. Check the brokers; it goes on once there is one"},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, storage, ambiguous,
     "the broker's coordinator is not available. Check that the internal topics can be created "
     "(their replication must not exceed the number of brokers)"},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, storage, ambiguous,
     "the broker's coordinator is still loading. It goes on by itself"},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, storage, ambiguous,
     "the coordinator moved to another broker. It goes on by itself"},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, storage, ambiguous,
     "a disk of the broker is at fault. Check its log"},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, storage, ambiguous,
     "the transaction before is still being ended. It goes on by itself"},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, stopped, ambiguous,
     "a record was given up before it was sent"},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, stopped, ambiguous,
     "a record was given up while it was on its way"},
    // Somebody else, or the broker, ended this producer's or member's right.
    {RD_KAFKA_RESP_ERR__FENCED, stopped, fenced,
     "another process writes with id {id}, or the broker timed the transaction out"},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, stopped, fenced,
     "another process writes with id {id}, or the broker timed the transaction out"},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, stopped, fenced,
     "another process writes with id {id}, or the broker timed the transaction out"},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, stopped, fenced,
     "another process has joined as member {instance}. Give every member an id of its own"},
};

const explanation* find(int code) {
  const auto* const end = std::end(explanations);
  const auto* const at = std::find_if(std::begin(explanations), end,
                                      [&](const explanation& e) { return e.code == code; });
  return at == end ? nullptr : at;
}

std::string filled(std::string_view text, const error_context& context) {
  const std::pair<std::string_view, const std::string&> fields[] = {
      {"{brokers}", context.brokers},   {"{topic}", context.topic},
      {"{group}", context.group},       {"{id}", context.transactional_id},
      {"{instance}", context.instance},
  };
  std::string out(text);
  for (const auto& [name, value] : fields) {
    const auto at = out.find(name);
    if (at == std::string::npos) continue;
    // Without a value the blank before the place goes, too.
    const auto from = value.empty() && at > 0 && out[at - 1] == ' ' ? at - 1 : at;
    out.replace(from, at + name.size() - from, value);
  }
  return out;
}

}  // namespace

failure explain(int code, std::string_view reason, const error_context& context) {
  const auto err = static_cast<rd_kafka_resp_err_t>(code);
  const auto* known = find(code);
  std::string message = "Kafka: ";
  if (known == nullptr) {
    message += rd_kafka_err2str(err);
    if (!context.topic.empty()) message += " (topic " + context.topic + ")";
  } else {
    message += filled(known->text, context);
  }
  if (!reason.empty() && reason != rd_kafka_err2str(err))
    message += " (" + std::string(reason) + ")";
  message += ".";
  return {known == nullptr ? storage : known->kind, std::move(message)};
}

std::string_view kind_of_error(int code) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE: return error_kinds[0];
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED: return error_kinds[1];
    default: break;
  }
  switch (fault_of(code)) {
    case refused: return error_kinds[2];
    case fenced: return error_kinds[3];
    case ambiguous: break;
  }
  return error_kinds[4];
}

link_fault fault_of(int code) {
  const auto* known = find(code);
  return known == nullptr ? ambiguous : known->fault;
}

}  // namespace spillway::kafka
