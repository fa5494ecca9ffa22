// Which class a job's lines belong to, for the threads that parse them.
#pragma once

#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/engine/intake.hpp"

#include <memory>
#include <mutex>
#include <unordered_map>

namespace spillway {

/// Thread-safe. Lookups given out stay as they are: a change counts from the next shard on.
class class_directory {
 public:
  [[nodiscard]] class_lookup of(job_number) const;
  /// Notes what the scheduler says of the job now.
  void put(job_number, const scheduler&);
  void drop(job_number);

 private:
  struct entry {
    std::unordered_map<std::string, std::optional<class_id>> models;  ///< none: no eligible lane
    std::string places;       ///< the job's residency, for people
    bool restricted = false;  ///< to some lanes
  };
  static std::variant<class_id, class_refusal> look_up(const entry&, std::string_view model,
                                                       endpoint_kind);

  mutable std::mutex mutex_;
  std::unordered_map<job_number, std::shared_ptr<const entry>> jobs_;
};

}  // namespace spillway
