#include "connectors/files/totals_codec.hpp"
#include "connectors/kafka/wire.hpp"

namespace spillway::kafka::wire {
namespace {

void put(pb::DoneBitmap& out, const done_rows& in, name_table& names) {
  out.set_base(in.base);
  out.set_line_records(in.line_records);
  out.set_done(in.done.bytes());
  shard_bits failed;
  for (const auto& row : in.failed) {
    failed.set(row.bit);
    out.add_failed_jobs(names.number_of(row.job));
    out.add_failed_codes(names.number_of(row.code));
  }
  if (!in.failed.empty()) out.set_failed(failed.bytes());
}

bool get(const pb::DoneBitmap& in, const pb::Snapshot& whole, done_rows& out) {
  if (in.base() < 0 || in.done().size() > shard_prompts_max / 8 ||
      in.failed().size() > shard_prompts_max / 8)
    return false;
  out.base = in.base();
  out.line_records = in.line_records();
  out.done = shard_bits::from_bytes(in.done());
  const auto failed = shard_bits::from_bytes(in.failed());
  const auto count = static_cast<int>(failed.count());
  if (in.failed_jobs_size() != count || in.failed_codes_size() != count) return false;
  const auto known = static_cast<std::uint32_t>(whole.names_size());
  int at = 0;
  for (std::uint32_t bit = 0; at < count; ++bit) {
    if (!failed.test(bit)) continue;
    const auto job = in.failed_jobs(at), code = in.failed_codes(at);
    if (job >= known || code >= known || !out.done.test(bit)) return false;
    out.failed.push_back(
        {bit, whole.names(static_cast<int>(job)), whole.names(static_cast<int>(code))});
    ++at;
  }
  return true;
}

void put(pb::JobState& out, const job_state& in) {
  out.set_job(in.job);
  out.set_answered(static_cast<std::uint64_t>(in.answered));
  out.set_errors(static_cast<std::uint64_t>(in.errors));
  out.set_invalid(static_cast<std::uint64_t>(in.invalid));
  out.set_finished_charge_nano_usd(in.finished_charge.count());
  for (const auto& lane : in.lanes) state::put(*out.add_lanes(), lane);
  for (const auto& d : in.days) {
    auto& m = *out.add_days();
    m.set_day(d.day);
    m.set_first_result(d.first_result);
    m.set_first_shard(d.first_shard);
  }
}

job_state job_of(const pb::JobState& in) {
  job_state out{in.job(),
                static_cast<std::int64_t>(in.answered()),
                static_cast<std::int64_t>(in.errors()),
                static_cast<std::int64_t>(in.invalid()),
                nano_usd(in.finished_charge_nano_usd()),
                nano_usd(0),
                {},
                {}};
  for (const auto& lane : in.lanes()) out.lanes.push_back(state::totals_of(lane));
  for (const auto& d : in.days()) out.days.push_back({d.day(), d.first_result(), d.first_shard()});
  return out;
}

}  // namespace

void put(pb::Snapshot& out, const snapshot& in) {
  name_table names;
  out.set_results_offset(in.results_offset);
  out.set_committed_offset(in.committed_offset);
  out.set_late_offset(in.late_offset);
  out.set_watermark(in.watermark);
  for (const auto& rows : in.done) put(*out.add_done(), rows, names);
  put(*out.mutable_attempts(), in.attempts);
  for (const auto& command : in.applied) out.add_applied_commands(command);
  for (const auto& job : in.jobs) put(*out.add_jobs(), job);
  for (const auto& p : in.generations) put(*out.add_generations()->mutable_place(), p);
  for (const auto& pending : in.hand_overs) {
    auto& m = *out.add_hand_overs();
    m.set_session(pending.session);
    put(*m.mutable_open(), pending.open);
  }
  for (const auto& name : names.names()) out.add_names(name);
}

bool get(const pb::Snapshot& in, snapshot& out) {
  out.results_offset = in.results_offset();
  out.committed_offset = in.committed_offset();
  out.late_offset = in.late_offset();
  out.watermark = in.watermark();
  if (out.results_offset < 0 || out.late_offset < 0 || out.watermark < 0 ||
      out.committed_offset < out.results_offset)
    return false;
  for (const auto& m : in.done())
    if (!get(m, in, out.done.emplace_back())) return false;
  if (!get(in.attempts(), out.attempts)) return false;
  out.applied.assign(in.applied_commands().begin(), in.applied_commands().end());
  for (const auto& m : in.jobs()) out.jobs.push_back(job_of(m));
  for (const auto& m : in.generations())
    if (!get(m.place(), out.generations.emplace_back())) return false;
  for (const auto& m : in.hand_overs()) {
    auto& pending = out.hand_overs.emplace_back();
    pending.session = m.session();
    if (!get(m.open(), pending.open)) return false;
  }
  return true;
}

}  // namespace spillway::kafka::wire
