#include "orchestrator/runtime/fd_limit.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

namespace spillway {
namespace {

// An unlimited hard limit can't be asked for as such: the kernel refuses more than this.
rlim_t kernel_ceiling() {
  std::ifstream file("/proc/sys/fs/nr_open");
  rlim_t ceiling = 0;
  return file >> ceiling ? ceiling : rlim_t{1} << 20;
}

}  // namespace

result<std::int64_t> raise_fd_limit(std::int64_t needed) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return failure{failure_kind::usage,
                   std::string("cannot read the limit on open files: ") + std::strerror(errno)};

  rlim_t target = limit.rlim_max;
  if (target == RLIM_INFINITY) target = std::max(kernel_ceiling(), limit.rlim_cur);
  if (limit.rlim_cur < target) {
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = target;
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
  }

  const auto available =
      static_cast<std::int64_t>(std::min<rlim_t>(limit.rlim_cur, static_cast<rlim_t>(INT64_MAX)));
  if (available < needed) {
    const std::string wanted = std::to_string(needed);
    return failure{failure_kind::usage,
                   "this configuration may need " + wanted + " open files but the limit is " +
                       std::to_string(available) + ": raise it with `ulimit -Hn " + wanted +
                       "` (systemd: LimitNOFILE=" + wanted + ", docker: --ulimit nofile=" + wanted +
                       ") or set fewer `connections` in the pools"};
  }
  return available;
}

}  // namespace spillway
