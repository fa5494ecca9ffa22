// Entry point: owns the signals, hands over to one command.
#include "orchestrator/cli/arguments.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace {

spillway::stop_flag stop{0};
static_assert(spillway::stop_flag::is_always_lock_free, "set from a signal handler");

/// First signal: stop sending and let calls finish. Second: stop at once.
extern "C" void on_stop_signal(int) {
  const int asked = stop.load(std::memory_order_relaxed);
  if (asked < 2) stop.store(asked + 1, std::memory_order_relaxed);
}

void handle_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_stop_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  for (const int signal : {SIGINT, SIGTERM}) sigaction(signal, &action, nullptr);
}

/// Started without standard streams, the run's own files would get their numbers, and its messages.
void hold_standard_streams() {
  int fd = 0;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= STDIN_FILENO && fd <= STDERR_FILENO);
  if (fd >= 0) close(fd);
}

struct command_runner {
  int operator()(const spillway::arguments_done& done) const { return done.exit_code; }
  int operator()(const spillway::run_options& options) const {
    handle_stop_signals();
    return run_run(options, stop);
  }
  int operator()(const spillway::plan_options& options) const {
    handle_stop_signals();
    return run_plan(options, stop);
  }
  int operator()(const spillway::status_options& options) const {
    if (options.config.empty()) return run_status(options);
    handle_stop_signals();
    return run_fleet_status(options, stop);
  }
  int operator()(const spillway::costs_options& options) const { return run_costs(options); }
  int operator()(const spillway::pools_check_options& options) const {
    return run_pools_check(options);
  }
  int operator()(const spillway::fleet_command& command) const {
    handle_stop_signals();
    return run_fleet_command(command, stop);
  }
  int operator()(const spillway::simulate_options& options) const { return run_simulate(options); }
};

}  // namespace

int main(int argc, char** argv) {
  hold_standard_streams();
  // A closed pipe or connection is an error of one write, not the end of the run.
  signal(SIGPIPE, SIG_IGN);
  try {
    return std::visit(command_runner{}, spillway::parse_arguments(argc, argv));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "spillway: internal error: %s\n", e.what());
    return exit_code(spillway::failure_kind::storage);
  }
}
