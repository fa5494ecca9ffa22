// The audit log: JSON lines that say what jobs were allowed to do and what was done. No bodies, no
// secrets.
#pragma once

#include "schemas/result.hpp"

#include <boost/json/object.hpp>

#include <memory>
#include <string>

namespace spillway {

/// A file that is only ever appended to, a line at a time; several processes may share it. Not
/// thread-safe.
class audit_log {
 public:
  /// Fails (usage) when the file can't be opened for appending.
  [[nodiscard]] static result<std::unique_ptr<audit_log>> open(const std::string& path);
  ~audit_log();
  audit_log(const audit_log&) = delete;
  audit_log& operator=(const audit_log&) = delete;

  /// Appends one line. A failure is logged, once, and does not stop the work.
  void write(const boost::json::object&);
  /// Returns when everything written is on disk.
  void sync();

 private:
  audit_log(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  void note(bool good, const char* what);

  std::string path_;
  int fd_;
  bool failed_ = false;
};

}  // namespace spillway
