#include "tests/kafka/broker.hpp"

#include "connectors/kafka/fleet_clients.hpp"
#include "connectors/kafka/topics.hpp"
#include "tests/support/link_world.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

namespace spillway::kafka {

namespace {

std::string from_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr)
    throw std::runtime_error(std::string(name) +
                             " is not set: run this through tests/kafka/run.sh");
  return value;
}

void signal_broker(int number) {
  std::ifstream in(from_environment("SPILLWAY_KAFKA_DIR") + "/kafka.pid");
  pid_t pid = 0;
  in >> pid;
  if (pid <= 1 || kill(pid, number) != 0) throw std::runtime_error("the broker does not run");
}

class over_clients : public link_world {
 public:
  over_clients(fleet_clients& clients, int partition) : clients_(clients), partition_(partition) {}
  std::unique_ptr<partition_link> make_link(std::function<void(link_event&&)> sink) override {
    return clients_.make_link({partition_, std::move(sink), nullptr});
  }
  bool let_pass() override {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return std::chrono::steady_clock::now() < deadline_;
  }
  void begin_waiting() override {
    deadline_ = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  }
  std::size_t record_bytes_max() const override { return 1'000'000; }

 private:
  fleet_clients& clients_;
  int partition_;
  std::chrono::steady_clock::time_point deadline_;
};

std::unique_ptr<fleet_clients> connected(const kafka_settings& settings) {
  auto made = fleet_clients::connect(settings);
  if (!made) throw std::runtime_error(made.error().message);
  return std::move(*made);
}

/// With clients of its own.
class real_world final : public link_world {
 public:
  real_world() : clients_(connected(fresh_fleet_with_topics())), over_(*clients_, 0) {}
  std::unique_ptr<partition_link> make_link(std::function<void(link_event&&)> sink) override {
    return over_.make_link(std::move(sink));
  }
  bool let_pass() override { return over_.let_pass(); }
  void begin_waiting() override { over_.begin_waiting(); }
  std::size_t record_bytes_max() const override { return over_.record_bytes_max(); }

 private:
  std::unique_ptr<fleet_clients> clients_;
  over_clients over_;
};

}  // namespace

kafka_settings fresh_fleet() {
  static std::atomic<int> count = 0;
  kafka_settings out;
  out.brokers = from_environment("SPILLWAY_KAFKA");
  out.fleet = "t" + std::to_string(getpid()) + "-" + std::to_string(++count);
  return out;
}

kafka_settings fresh_fleet_with_topics(int partitions) {
  auto out = fresh_fleet();
  const auto made = create_topics(out, {partitions, 1});
  if (!made) throw std::runtime_error(made.error().message);
  return out;
}

void kill_broker() { signal_broker(SIGKILL); }
void pause_broker() { signal_broker(SIGSTOP); }
void continue_broker() { signal_broker(SIGCONT); }
void restart_broker() {
  const auto command = std::string(SPILLWAY_SOURCE_DIR "/deploy/kafka-local.sh start ") +
                       from_environment("SPILLWAY_KAFKA_DIR") + " --until " +
                       std::to_string(getpid()) + " > /dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("the broker did not start again");
}

std::unique_ptr<link_world> real_link_world() { return std::make_unique<real_world>(); }
std::unique_ptr<link_world> link_world_over(fleet_clients& clients, int partition) {
  return std::make_unique<over_clients>(clients, partition);
}

}  // namespace spillway::kafka
