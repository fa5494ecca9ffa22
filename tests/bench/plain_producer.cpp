// The yardstick of `submit`: the lines of a file as records of a topic, by librdkafka alone, with
// the durability Spillway asks for (all replicas, idempotent) and no reading, checking or packing.
//   plain_producer BROKERS TOPIC PARTITIONS FILE [BYTES]
// BYTES: lines are joined to records of about that size. Prints "<records> <bytes> <seconds>".
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

std::atomic<long> failed{0};

[[noreturn]] void fail(const std::string& text) {
  std::fprintf(stderr, "plain_producer: %s\n", text.c_str());
  std::exit(1);
}

void delivered(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) ++failed;
}

rd_kafka_t* make_producer(const char* brokers) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char said[512];
  const char* settings[][2] = {{"bootstrap.servers", brokers},
                               {"enable.idempotence", "true"},
                               {"linger.ms", "5"},
                               {"socket.nagle.disable", "true"},
                               {"queue.buffering.max.messages", "1000000"},
                               {"queue.buffering.max.kbytes", "262144"}};
  for (const auto& [name, value] : settings)
    if (rd_kafka_conf_set(conf, name, value, said, sizeof said) != RD_KAFKA_CONF_OK) fail(said);
  rd_kafka_conf_set_dr_msg_cb(conf, delivered);
  rd_kafka_t* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, said, sizeof said);
  if (producer == nullptr) fail(said);
  return producer;
}

/// The first lines of `rest`, at least one, about `bytes` of them.
std::string_view take_lines(std::string_view& rest, std::size_t bytes) {
  auto end = rest.find('\n', bytes > 0 ? std::min(bytes, rest.size()) - 1 : 0);
  end = end == std::string_view::npos ? rest.size() : end + 1;
  const auto lines = rest.substr(0, end);
  rest.remove_prefix(end);
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) fail("usage: plain_producer BROKERS TOPIC PARTITIONS FILE [BYTES]");
  std::ifstream file(argv[4], std::ios::binary);
  if (!file) fail(std::string("cannot read ") + argv[4]);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const auto partitions = std::atoi(argv[3]);
  const auto bytes = static_cast<std::size_t>(argc > 5 ? std::atol(argv[5]) : 0);
  rd_kafka_t* producer = make_producer(argv[1]);
  rd_kafka_topic_t* topic = rd_kafka_topic_new(producer, argv[2], nullptr);

  const auto began = std::chrono::steady_clock::now();
  long records = 0;
  for (std::string_view rest = text; !rest.empty(); ++records) {
    const auto lines = take_lines(rest, bytes);
    const auto partition = static_cast<std::int32_t>(records % partitions);
    while (rd_kafka_produce(topic, partition, 0, const_cast<char*>(lines.data()), lines.size(),
                            nullptr, 0, nullptr) != 0) {
      if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
        fail(rd_kafka_err2str(rd_kafka_last_error()));
      rd_kafka_poll(producer, 10);
    }
    if (records % 256 == 0) rd_kafka_poll(producer, 0);
  }
  if (rd_kafka_flush(producer, 120'000) != RD_KAFKA_RESP_ERR_NO_ERROR || failed > 0)
    fail("not everything was acknowledged");
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::printf("%ld %zu %.6f\n", records, text.size(), took.count());
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(producer);
}
