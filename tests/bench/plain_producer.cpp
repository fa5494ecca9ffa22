// A plain librdkafka producer, to measure others by: the bytes of a file, in records of up to 512
// KB that end with a line, round robin over the partitions, idempotent, acknowledged by all
// replicas.
//   plain_producer BROKERS TOPIC PARTITIONS FILE
// Prints the seconds from the first record to the last acknowledgement.
#include <librdkafka/rdkafka.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

namespace {

constexpr std::size_t record_bytes_max = 512u << 10;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "plain_producer: %s\n", what);
  std::exit(1);
}

void count_failure(rd_kafka_t*, const rd_kafka_message_t* message, void* failures) {
  if (!message->err) return;
  if (++*static_cast<int*>(failures) == 1)
    std::fprintf(stderr, "plain_producer: %s\n", rd_kafka_err2str(message->err));
}

rd_kafka_t* make_producer(const char* brokers, int& failures) {
  char why[256];
  auto* conf = rd_kafka_conf_new();
  const std::pair<const char*, const char*> settings[] = {{"bootstrap.servers", brokers},
                                                          {"enable.idempotence", "true"},
                                                          {"acks", "all"},
                                                          {"linger.ms", "2"}};
  for (const auto& [name, value] : settings)
    if (rd_kafka_conf_set(conf, name, value, why, sizeof why) != RD_KAFKA_CONF_OK) fail(why);
  rd_kafka_conf_set_opaque(conf, &failures);
  rd_kafka_conf_set_dr_msg_cb(conf, count_failure);
  auto* producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
  if (!producer) fail(why);
  return producer;
}

void produce(rd_kafka_t* producer, const char* topic, int partition, const std::string& bytes) {
  for (;;) {
    const auto error =
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_VALUE(const_cast<char*>(bytes.data()), bytes.size()),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) fail(rd_kafka_err2str(error));
    rd_kafka_poll(producer, 10);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) fail("usage: plain_producer BROKERS TOPIC PARTITIONS FILE");
  const int partitions = std::atoi(argv[3]);
  int failures = 0;
  auto* producer = make_producer(argv[1], failures);
  std::FILE* file = std::fopen(argv[4], "rb");
  if (!file || partitions < 1) fail("no such file, or no partitions");
  const auto began = std::chrono::steady_clock::now();
  std::string bytes;
  for (int record = 0;; ++record) {
    const auto had = bytes.size();
    bytes.resize(record_bytes_max);
    bytes.resize(had + std::fread(bytes.data() + had, 1, record_bytes_max - had, file));
    if (bytes.empty()) break;
    const auto end = bytes.rfind('\n') + 1;
    if (end == 0) fail("a line is longer than a record");
    produce(producer, argv[2], record % partitions, bytes.substr(0, end));
    bytes.erase(0, end);
    rd_kafka_poll(producer, 0);
  }
  if (rd_kafka_flush(producer, 60'000) != RD_KAFKA_RESP_ERR_NO_ERROR || failures > 0)
    fail("not everything was stored");
  const auto took = std::chrono::steady_clock::now() - began;
  std::printf("%.6f\n", std::chrono::duration<double>(took).count());
  rd_kafka_destroy(producer);
}
