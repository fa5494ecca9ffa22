// What the topic `jobs` says, as a table. Pure: fed with records, asked for what changed.
#pragma once

#include "connectors/kafka/fleet_records.hpp"
#include "schemas/ids.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::kafka {

enum class job_phase {
  submitting,  ///< shards are being written; the manifest is missing
  open,        ///< takes plain records
  closed,      ///< takes no more, and is worked on
  active,
  paused,
  cancelled,  ///< what was not sent becomes error rows
  finished,
  damaged,  ///< its manifest can't be worked on; `reason` says why
};
[[nodiscard]] const char* name_of(job_phase);

/// A command with the place that orders it.
struct placed_command {
  std::int64_t offset = 0;
  command_record what;
};

/// A job as the newest record of each key has it, however the log was compacted.
struct job_entry {
  job_number number;
  std::string name;
  job_phase state = job_phase::submitting;
  std::string reason;  ///< of `damaged`
  job_policy policy;   ///< the manifest's, or the newest command's
  std::optional<submission_record> submission;
  std::optional<manifest_record> manifest;
  std::vector<placed_command> commands;  ///< in order of their offsets
  std::optional<final_record> final;     ///< absent again when a retry came after it
  bool paused = false;
  bool cancelled = false;
  std::optional<std::vector<std::int64_t>> end_offsets;  ///< of an open job that was closed
  std::int64_t last_change_of_work = -1;                 ///< offset of the newest retry or cancel

  /// True while plain records may name it.
  [[nodiscard]] bool takes_records() const {
    return manifest && manifest->open && !end_offsets && !cancelled;
  }
  /// True when shards of this submission are to be worked on.
  [[nodiscard]] bool wants(std::string_view submission_id) const {
    return manifest && manifest->submission == submission_id;
  }
  /// True when such shards may still be committed by a manifest.
  [[nodiscard]] bool may_want(std::string_view submission_id) const {
    return !manifest && submission && !submission->abandoned &&
           submission->submission == submission_id;
  }
};

/// Not thread-safe.
class job_table {
 public:
  /// `partitions` of the fleet, to check manifests by; 0: not known.
  explicit job_table(std::uint32_t partitions = 0);
  ~job_table();
  job_table(job_table&&) noexcept;
  job_table& operator=(job_table&&) noexcept;

  /// Takes a record of `jobs`; offsets must rise, lower ones are skipped. What is wrong with the
  /// record, when it is not one that can be used: it is for the dead letters.
  std::optional<record_fault> apply(const stored_record&);
  /// Everything below was applied.
  [[nodiscard]] std::int64_t next_offset() const { return next_offset_; }

  /// Nothing when no submission, manifest or final record has that name.
  [[nodiscard]] const job_entry* find(std::string_view name) const;
  [[nodiscard]] const job_entry* find(job_number) const;
  /// All jobs by name.
  [[nodiscard]] std::vector<const job_entry*> all() const;
  /// The jobs that changed since the last call; those that `find` no longer knows are gone.
  [[nodiscard]] std::vector<job_number> take_changed();

 private:
  struct sources;
  void derive(const std::string& name);
  std::optional<record_fault> store(sources&, const stored_record&);

  std::uint32_t partitions_;
  std::int64_t next_offset_ = 0;
  std::uint32_t next_number_ = 0;
  std::map<std::string, sources, std::less<>> jobs_;
  std::map<job_number, std::string> names_;
  std::set<job_number> changed_;
};

}  // namespace spillway::kafka
