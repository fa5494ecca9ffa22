// Reads shards, validates their lines in parallel and finds repeated custom_ids.
#pragma once

#include "connectors/jsonl.hpp"
#include "connectors/log.hpp"
#include "orchestrator/core/id_index.hpp"
#include "orchestrator/runtime/stripes_parallel.hpp"
#include "schemas/prompt.hpp"
#include "workers/provider.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace spillway {

/// A class for a prompt, or why there is none.
struct class_choice {
  class_id cls;
  prompt_features features = all_features;  ///< what it asks of a lane, where that matters
};
struct class_refusal {
  std::string code, message;
};
using class_verdict = std::variant<class_choice, class_refusal>;
using class_lookup =
    std::function<class_verdict(std::string_view model, endpoint_kind, const prompt_view&)>;
/// The lookup for a job's lines: asked for once a shard, then called from many threads.
using job_lookup = std::function<class_lookup(job_number)>;

/// A shard after parsing: every line of it is in `prompts` or in `invalid`.
struct parsed_shard {
  shard_record record;
  std::vector<prompt> prompts;
  std::vector<invalid_line> invalid;
  std::shared_ptr<const shard_past> past;  ///< on the first reading, where the log has one
};

/// Of one partition. Not thread-safe: one thread reads, and uses `runner` for the parsing.
class intake {
 public:
  /// `known` are the shards found in the log, with their hashes.
  intake(shard_source&, job_lookup, parallel_runner&, std::size_t line_bytes_max,
         std::span<const recovered_shard> known);

  /// The next shard nobody has read; nothing at the end of the input.
  [[nodiscard]] result<std::optional<parsed_shard>> next();
  /// A shard read before, whose ids are known.
  [[nodiscard]] result<parsed_shard> again(const shard_descriptor&);
  [[nodiscard]] bool endless() const { return source_.endless(); }
  /// Frees the ids of a job of which no new shard will come.
  void forget_job(job_number job) { jobs_.erase(job); }

 private:
  struct line_result;
  /// Where a job's ids were used first, and the shards that says so of.
  struct job_ids {
    id_index index;
    std::unordered_map<shard_id, shard_descriptor> shards;
  };
  [[nodiscard]] result<parsed_shard> parse(const shard_data&, bool known);
  [[nodiscard]] std::vector<line_result> parse_lines(const shard_data&,
                                                     const std::vector<line_view>&);
  [[nodiscard]] result<void> find_repeats(const shard_data&, const std::vector<line_view>&,
                                          std::vector<line_result>&, parsed_shard&, bool known);
  /// An id as it was first used.
  struct known_id {
    std::string custom_id;
    std::uint64_t line = 0;
    file_id file;
  };
  [[nodiscard]] result<std::optional<known_id>> earlier_use(job_ids&, std::uint64_t hash,
                                                            position own,
                                                            const std::string& custom_id,
                                                            const std::vector<known_id>& own_shard);
  [[nodiscard]] result<known_id> id_at(const job_ids&, position);

  shard_source& source_;
  job_lookup classes_;
  parallel_runner& runner_;
  std::size_t line_bytes_max_;
  std::unordered_map<job_number, job_ids> jobs_;
  // Repeats come in runs: the last shard that was looked at again.
  std::optional<shard_data> cached_;
  std::vector<line_view> cached_lines_;
};

}  // namespace spillway
