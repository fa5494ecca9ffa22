// The clock seam: whoever needs the time is given one of these.
#pragma once

#include "schemas/units.hpp"

namespace spillway {

/// Thread-safe.
class time_source {
 public:
  virtual ~time_source() = default;
  /// Unix time; never goes back within a process.
  [[nodiscard]] virtual time_point now() const = 0;
};

/// The wall clock at construction, carried on by the steady clock: unmoved by clock changes.
class system_time final : public time_source {
 public:
  system_time();
  [[nodiscard]] time_point now() const override;

 private:
  time_point wall_;
  std::chrono::steady_clock::time_point steady_;
};

}  // namespace spillway
