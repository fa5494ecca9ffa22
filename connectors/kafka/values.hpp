// What the records of `results`, `journal` and `late` say, as plain values.
#pragma once

#include "connectors/kafka/place.hpp"
#include "connectors/log.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"
#include "schemas/totals.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace spillway::kafka {

/// What is known of a prompt's sends; a later one replaces the one before.
struct fleet_attempt {
  place where;
  std::string job, pool, lane;
  bool in_flight = false;  ///< the intent; else the send ended without a result
  std::uint32_t sends = 0, attempts = 0, maybe_billed = 0;
  nano_usd charged;   ///< of ended sends, those in doubt included
  nano_usd reserved;  ///< worst case of the open send
  time_point at{};
  time_point deadline{};     ///< of the open send: no answer comes later
  std::uint32_t deaths = 0;  ///< of owners while a send of it was open
};

/// What a result says beside its row.
struct result_facts {
  place where;
  row_kind kind = row_kind::answered;
  std::string job, pool, lane, model, code;
  token_usage usage;
  nano_usd charged;  ///< all sends of this generation, those in doubt included
  std::uint32_t sends = 0, maybe_billed = 0;
  time_point done_at{};
};

/// A finished prompt as it is published.
struct finished_row {
  std::string key;  ///< of the record on `results`
  std::string row;
  result_facts facts;
};

struct failed_row {
  std::uint32_t bit = 0;
  std::string job, code;
};

/// Bits of one record, or of one block of line records.
struct done_rows {
  std::int64_t base = 0;
  bool line_records = false;
  shard_bits done;
  std::vector<failed_row> failed;  ///< of the done ones, by bit
};

/// Where what a job finished on one day begins, in both topics.
struct job_day {
  std::int64_t day = 0;  ///< `utc_day`
  std::int64_t first_result = 0, first_shard = 0;

  bool operator==(const job_day&) const = default;
};

struct job_state {
  std::string job;
  std::int64_t answered = 0, errors = 0;
  std::int64_t invalid = 0;  ///< those of the errors that were never sendable lines
  nano_usd finished_charge;
  nano_usd open_charge;  ///< of unfinished prompts; not stored: their attempts carry it
  std::vector<named_totals> lanes;
  std::vector<job_day> days;  ///< in order; those that nothing is kept of may be missing

  [[nodiscard]] nano_usd settled() const { return finished_charge + open_charge; }
};

struct pending_hand_over {
  std::string session;
  std::vector<fleet_attempt> open;
};

struct snapshot {
  std::int64_t results_offset = 0;    ///< no answer below it is still to be salvaged
  std::int64_t committed_offset = 0;  ///< committed results below it are counted in here
  std::int64_t late_offset = 0;
  std::int64_t watermark = 0;
  std::vector<done_rows> done;
  std::vector<fleet_attempt> attempts;
  std::vector<std::string> applied;
  std::vector<job_state> jobs;
  std::vector<place> generations;
  std::vector<pending_hand_over> hand_overs;
};

struct attempts_note {
  std::vector<fleet_attempt> attempts;
};
struct hand_over_note {
  std::vector<fleet_attempt> open;
};
struct resumed_note {};
struct opened_note {};
struct applied_note {
  std::string command;
  std::vector<place> reopened;  ///< with their new generation
};
struct journal_record {
  std::string session;
  std::variant<opened_note, attempts_note, snapshot, hand_over_note, resumed_note, applied_note>
      what;
};

struct late_end {};
struct late_record {
  std::string session;
  std::variant<result_facts, fleet_attempt, late_end> what;
};

/// What a member keeps locally of a partition.
struct local_index {
  std::string fleet;
  std::uint32_t partition = 0;
  std::int64_t journal_offset = 0;  ///< everything before this record is in the snapshot
  std::uint32_t journal_crc = 0;    ///< of its value
  snapshot state;
};

}  // namespace spillway::kafka
