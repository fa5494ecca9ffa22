#include "orchestrator/service/process_stats.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace spillway::service {

namespace {

/// A time in clock ticks.
duration from_ticks(std::int64_t ticks) {
  return from_seconds(static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK)));
}

/// When the machine started, by the kernel's own reckoning.
time_point boot_time() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);)
    if (line.starts_with("btime "))
      return time_point(std::chrono::seconds(std::stoll(line.substr(6))));
  return {};
}

std::int64_t open_descriptors() {
  std::error_code ec;
  const std::filesystem::directory_iterator listing("/proc/self/fd", ec);
  if (ec) return 0;
  // The listing itself holds one.
  return std::max<std::int64_t>(
      0, std::distance(begin(listing), std::filesystem::directory_iterator()) - 1);
}

}  // namespace

process_stats read_process_stats() {
  process_stats out;
  std::string line;
  std::getline(std::ifstream("/proc/self/stat"), line);
  // The second field, the name in brackets, may hold anything; fields from the third on are
  // numbers.
  const auto bracket = line.rfind(')');
  if (bracket != std::string::npos) {
    std::istringstream fields(line.substr(bracket + 2));
    std::string skipped;
    const auto skip = [&](int n) {
      while (n-- > 0) fields >> skipped;
    };
    std::int64_t user = 0, system = 0, started = 0, pages = 0;
    skip(11);
    fields >> user >> system;
    skip(4);
    fields >> out.threads;
    skip(1);
    fields >> started >> out.virtual_bytes >> pages;
    out.cpu = from_ticks(user + system);
    out.resident_bytes = pages * ::sysconf(_SC_PAGESIZE);
    if (const auto boot = boot_time(); boot != time_point{})
      out.started = boot + from_ticks(started);
  }
  out.open_fds = open_descriptors();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    out.max_fds = static_cast<std::int64_t>(limit.rlim_cur);
  return out;
}

}  // namespace spillway::service
