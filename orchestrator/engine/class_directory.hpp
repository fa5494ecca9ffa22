// Which class a job's lines belong to, for the threads that parse them.
#pragma once

#include "orchestrator/core/scheduler.hpp"
#include "orchestrator/engine/intake.hpp"

#include <array>
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
  /// Where prompts of a model and endpoint can go.
  struct target {
    class_id cls;
    std::optional<class_refusal> refusal;  ///< of all of them
    bool look = false;                     ///< what a prompt asks for decides which lanes take it
    std::vector<prompt_features> limits;   ///< what keeps a prompt from each lane the job may use
  };
  using targets = std::array<target, endpoint_kinds>;
  struct entry {
    std::unordered_map<std::string, targets> models;
    bool capped = false;  ///< the job has a budget
  };
  static class_verdict look_up(const entry&, std::string_view model, endpoint_kind,
                               const prompt_view&);
  static class_verdict route(const target&, std::string_view model, const prompt_view&);
  static targets targets_of(const job_setup&, job_number, const std::string& model,
                            const scheduler&);

  mutable std::mutex mutex_;
  std::unordered_map<job_number, std::shared_ptr<const entry>> jobs_;
};

}  // namespace spillway
