#include "tests/sim/fake_log.hpp"

#include "connectors/jsonl.hpp"
#include "connectors/rows.hpp"

#include <algorithm>

namespace spillway::sim {

fake_log::fake_log(std::vector<std::string> lines, std::size_t shard_lines) {
  for (std::size_t first = 0; first < lines.size(); first += shard_lines) {
    shard_data shard;
    const auto count = std::min(shard_lines, lines.size() - first);
    for (std::size_t i = 0; i < count; ++i) shard.bytes += lines[first + i] + "\n";
    shard.size = shard.bytes.size();
    shard.bytes.append(read_padding, '\0');
    shard.where = {.id = shard_id(static_cast<std::uint32_t>(input_.size())),
                   .file = file_id(0),
                   .offset = first,
                   .length = shard.size,
                   .first_line = first + 1,
                   .next_line = first + 1 + count,
                   .count = static_cast<std::uint32_t>(count),
                   .crc = 0};
    input_.push_back(std::move(shard));
  }
}

result<recovered_log> fake_log::session::take_over() {
  log_.adopt();
  recovered_log out;
  for (const auto& s : log_.shards_) out.shards.push_back({s.where, {}, s.id_hashes});
  for (const auto& [where, f] : log_.finished_) {
    const auto p = position::from_value(where);
    out.shards.at(p.shard().value()).done.set(p.index());
    if (f.kind == row_kind::answered)
      ++out.answered;
    else
      ++out.errors;
    if (f.kind == row_kind::invalid) ++out.invalid;
  }
  for (const auto& [where, a] : log_.attempts_) out.attempts.push_back(a);
  out.totals = log_.totals_;
  next_shard_ = log_.shards_.size();
  return out;
}

result<std::optional<shard_data>> fake_log::session::read_next() {
  if (next_shard_ == log_.input_.size()) return std::optional<shard_data>{};
  return std::optional<shard_data>(log_.input_[next_shard_++]);
}

result<shard_data> fake_log::session::read(const shard_descriptor& where) {
  return log_.input_.at(where.id.value());
}

void fake_log::session::append(commit_seq seq, commit_group group) {
  log_.pending_.emplace_back(seq, std::move(group));
}

void fake_log::apply(commit_group&& group) {
  for (auto& s : group.shards) {
    if (s.where.id.value() != shards_.size()) complaint_ = "shards recorded out of order";
    shards_.push_back(std::move(s));
  }
  for (auto& a : group.attempts) {
    if (finished_.contains(a.where.value())) complaint_ = "an attempt of a finished prompt";
    attempts_[a.where.value()] = std::move(a);
  }
  for (auto& f : group.finished) {
    const auto where = f.where.value();
    attempts_.erase(where);
    if (!finished_.emplace(where, std::move(f)).second) complaint_ = "a second row for a prompt";
  }
  for (auto& changed : group.totals) {
    const auto known = std::find_if(totals_.begin(), totals_.end(), [&](const job_totals& t) {
      return t.lane.pool == changed.lane.pool && t.lane.lane == changed.lane.lane;
    });
    if (known == totals_.end())
      totals_.push_back(std::move(changed));
    else
      *known = std::move(changed);
  }
}

std::optional<commit_seq> fake_log::sync() {
  std::optional<commit_seq> last;
  for (auto& [seq, group] : pending_) {
    apply(std::move(group));
    last = seq;
  }
  pending_.clear();
  return last;
}

void fake_log::crash(random_engine& random) {
  // Rows are written before anything else, so some of them may be there.
  const auto written = std::uniform_int_distribution<std::size_t>(0, pending_.size())(random);
  for (std::size_t i = 0; i < written; ++i)
    for (auto& f : pending_[i].second.finished) surplus_.push_back(std::move(f));
  pending_.clear();
}

void fake_log::adopt() {
  for (auto& f : surplus_) {
    const auto it = attempts_.find(f.where.value());
    if (it == attempts_.end() || !it->second.in_flight) {
      if (f.kind == row_kind::answered) complaint_ = "an answer without a durable intent";
      continue;
    }
    const auto row = read_row(f.row);
    if (!row) {
      complaint_ = "a row that can't be read back";
      continue;
    }
    for (auto& t : totals_)
      if (t.lane.pool == it->second.pool && t.lane.lane == it->second.lane)
        t.lane.totals.settled += row->cost - it->second.charged;
    attempts_.erase(it);
    finished_.emplace(f.where.value(), std::move(f));
    ++adopted_;
  }
  surplus_.clear();
}

std::vector<position> fake_log::in_flight() const {
  std::vector<position> open;
  for (const auto& [where, a] : attempts_)
    if (a.in_flight) open.push_back(a.where);
  return open;
}

nano_usd fake_log::settled() const {
  nano_usd sum;
  for (const auto& t : totals_) sum += t.lane.totals.settled;
  return sum;
}

}  // namespace spillway::sim
