// `spillway simulate`: provider stubs on loopback until a signal ends them.
#include "orchestrator/cli/commands.hpp"
#include "orchestrator/runtime/fd_limit.hpp"
#include "workers/simulator/simulator.hpp"

#include <fmt/format.h>
#include <boost/json.hpp>

#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>

namespace spillway {
namespace {

constexpr std::int64_t descriptors_min = 256;

/// SIGINT and SIGTERM, kept from this thread and all it starts, to be waited for.
class stop_signals {
 public:
  stop_signals() {
    sigemptyset(&set_);
    sigaddset(&set_, SIGINT);
    sigaddset(&set_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  ~stop_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  void wait() const {
    int signal = 0;
    sigwait(&set_, &signal);
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

std::string ready_json(const simulator& running) {
  boost::json::object pools;
  for (const auto& [name, endpoint] : running.endpoints()) pools[name] = endpoint;
  const boost::json::object ready{
      {"pid", ::getpid()}, {"url", running.url()}, {"pools", std::move(pools)}};
  return boost::json::serialize(ready) + "\n";
}

/// Whoever sees the file sees all of it.
result<void> write_whole(const std::string& path, const std::string& text) {
  const std::string unfinished = path + ".tmp";
  std::FILE* file = std::fopen(unfinished.c_str(), "w");
  bool written = file && std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (file) written = std::fclose(file) == 0 && written;
  if (!written || std::rename(unfinished.c_str(), path.c_str()) != 0)
    return failure{failure_kind::usage,
                   "cannot write " + path + "; check the path given with --ready-file"};
  return {};
}

void print_endpoints(const simulator& running) {
  fmt::print("simulator at {}, figures at {}/_sim/stats\n", running.url(), running.url());
  for (const auto& [name, endpoint] : running.endpoints())
    fmt::print("{:<20} {}\n", name, endpoint);
  std::fflush(stdout);
}

}  // namespace

int run_simulate(const simulate_options& options) {
  const stop_signals signals;
  if (auto limit = raise_fd_limit(descriptors_min); !limit) return report(limit.error());
  auto config = load_simulator_config(options.config);
  if (!config) return report(config.error());
  auto running = simulator::start(std::move(*config));
  if (!running) return report(running.error());
  print_endpoints(*running);
  if (!options.ready_file.empty()) {
    if (auto written = write_whole(options.ready_file, ready_json(*running)); !written)
      return report(written.error());
  }
  signals.wait();
  running->stop();
  return 0;
}

}  // namespace spillway
