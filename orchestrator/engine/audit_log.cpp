#include "orchestrator/engine/audit_log.hpp"

#include "orchestrator/engine/progress_json.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace spillway {

result<std::unique_ptr<audit_log>> audit_log::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (fd < 0)
    return failure{failure_kind::usage,
                   "the audit log " + path + " can't be opened: " + std::strerror(errno)};
  return std::unique_ptr<audit_log>(new audit_log(path, fd));
}

audit_log::~audit_log() { ::close(fd_); }

void audit_log::write(const boost::json::object& event) {
  const auto line = json_line(event) + "\n";
  // One call a line: lines of several processes do not mix.
  const auto written = ::write(fd_, line.data(), line.size());
  note(written == static_cast<ssize_t>(line.size()), "written");
}

void audit_log::sync() { note(::fsync(fd_) == 0 || errno == EINVAL, "synced"); }

void audit_log::note(bool good, const char* what) {
  if (!good && !failed_)
    spdlog::error("the audit log {} can't be {}: {}", path_, what, std::strerror(errno));
  failed_ = failed_ || !good;
}

}  // namespace spillway
