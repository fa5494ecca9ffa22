// Which prompts of a partition are done, and the watermark below which all are.
#pragma once

#include "connectors/kafka/values.hpp"

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <unordered_map>

namespace spillway::kafka {

/// A record of `shards` as it was read, or a run of line records at consecutive offsets.
struct noted_record {
  std::int64_t offset = 0;
  std::uint32_t count = 0;  ///< prompts; of line records: offsets
  bool line_records = false;
  bool skipped = false;  ///< nothing of it will ever be sent or answered here
};

/// Below the watermark a prompt is done unless bits say otherwise; bits are kept there only for
/// records with failed prompts (they may be retried) or reopened ones. Not thread-safe.
class done_map {
 public:
  void restore(std::int64_t watermark, std::span<const done_rows>);
  [[nodiscard]] std::vector<done_rows> rows() const;

  [[nodiscard]] bool test(const place&) const;
  void set(const place&);
  void fail(const place&, const std::string& job, const std::string& code);
  /// Not done any more. Returns the job that it failed for, empty if it had not failed.
  std::string reopen(const place&);
  /// Failed prompts of a job that `matching` accepts by their code, generations left out.
  [[nodiscard]] std::vector<place> failed(
      const std::string& job, const std::function<bool(const std::string&)>& matching) const;

  /// Records are noted in the order of their offsets; noting one again replaces what was said.
  void note(const noted_record&);
  /// Every prompt of all records below is done, those in `reopened` excepted.
  [[nodiscard]] std::int64_t watermark() const { return watermark_; }
  [[nodiscard]] const std::set<place>& reopened() const { return reopened_; }
  /// No unfinished prompt stands below.
  [[nodiscard]] std::int64_t first_unfinished() const;
  void mark_reopened(const place&);
  /// True when nothing of what was noted, or is known from before, is left to do.
  [[nodiscard]] bool all_done() const { return noted_.empty() && reopened_.empty(); }
  /// Its failed prompts are done like all others: none of them will be opened again.
  void forget_failed(const std::string& job);

  /// Records below were deleted.
  void forget_below(std::int64_t offset);
  /// The log ends here: what is known of records beyond was lost with them.
  void cut(std::int64_t end);

 private:
  struct failed_bit {
    std::uint32_t bit, job, code;
  };
  struct entry {
    shard_bits done;
    std::vector<failed_bit> failed;  ///< by bit
  };
  using entries = std::map<std::int64_t, entry>;

  [[nodiscard]] entries& of(bool line_records) { return line_records ? lines_ : records_; }
  [[nodiscard]] const entry* find(const place&) const;
  [[nodiscard]] std::uint32_t number_of(const std::string& name);
  [[nodiscard]] bool complete(const noted_record&);
  void advance();
  void drop_if_plain(bool line_records, std::int64_t base);

  entries records_, lines_;
  std::deque<noted_record> noted_;
  std::int64_t watermark_ = 0;
  std::set<place> reopened_;
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> names_;
};

}  // namespace spillway::kafka
