#include "connectors/kafka/wire.hpp"

namespace spillway::kafka::wire {

std::optional<time_point> from_ms(std::int64_t ms) {
  constexpr std::int64_t most = INT64_MAX / 1'000'000;
  if (ms < -most || ms > most) return std::nullopt;
  return time_point(std::chrono::milliseconds(ms));
}

failure unreadable(std::string_view what) {
  return {failure_kind::storage, std::string(what) + " is damaged or was not written by spillway"};
}

failure too_new(std::string_view what, std::uint32_t version) {
  return {failure_kind::storage, std::string(what) + " has version " + std::to_string(version) +
                                     ", written by a newer spillway: this member reads version 1; "
                                     "upgrade it"};
}

void put(pb::Place& out, const place& in) {
  out.set_offset(in.offset);
  out.set_index(in.index);
  out.set_line_record(in.line_record);
  out.set_generation(in.generation);
}

bool get(const pb::Place& in, place& out) {
  out = {in.offset(), in.index(), in.line_record(), in.generation()};
  return out.offset >= 0 && out.index < shard_prompts_max && !(out.line_record && out.index > 0);
}

void put(pb::Attempts& out, std::span<const fleet_attempt> in) {
  name_table names;
  for (const auto& a : in) {
    auto& m = *out.add_attempts();
    put(*m.mutable_place(), a.where);
    m.set_job(names.number_of(a.job));
    m.set_pool(names.number_of(a.pool));
    m.set_lane(names.number_of(a.lane));
    m.set_in_flight(a.in_flight);
    m.set_sends(a.sends);
    m.set_attempts(a.attempts);
    m.set_maybe_billed(a.maybe_billed);
    m.set_charged_nano_usd(a.charged.count());
    m.set_reserved_nano_usd(a.reserved.count());
    m.set_at_unix_ms(to_ms(a.at));
    m.set_deadline_unix_ms(to_ms(a.deadline));
    m.set_deaths(a.deaths);
  }
  for (const auto& name : names.names()) out.add_names(name);
}

bool get(const pb::Attempts& in, std::vector<fleet_attempt>& out) {
  const auto known = static_cast<std::uint32_t>(in.names_size());
  out.reserve(static_cast<std::size_t>(in.attempts_size()));
  for (const auto& m : in.attempts()) {
    fleet_attempt a;
    const auto at = from_ms(m.at_unix_ms()), deadline = from_ms(m.deadline_unix_ms());
    if (!get(m.place(), a.where) || m.job() >= known || m.pool() >= known || m.lane() >= known ||
        !at || !deadline)
      return false;
    a.job = in.names(static_cast<int>(m.job()));
    a.pool = in.names(static_cast<int>(m.pool()));
    a.lane = in.names(static_cast<int>(m.lane()));
    a.in_flight = m.in_flight();
    a.sends = m.sends();
    a.attempts = m.attempts();
    a.maybe_billed = m.maybe_billed();
    a.charged = nano_usd(m.charged_nano_usd());
    a.reserved = nano_usd(m.reserved_nano_usd());
    a.at = *at;
    a.deadline = *deadline;
    a.deaths = m.deaths();
    out.push_back(std::move(a));
  }
  return true;
}

void put(pb::ResultFacts& out, const result_facts& in) {
  out.set_version(1);
  put(*out.mutable_place(), in.where);
  out.set_kind(static_cast<pb::RowKind>(in.kind));
  out.set_job(in.job);
  out.set_pool(in.pool);
  out.set_lane(in.lane);
  out.set_model(in.model);
  out.set_code(in.code);
  auto& usage = *out.mutable_usage();
  usage.set_known(in.usage.known);
  usage.set_input(in.usage.input.count());
  usage.set_cached(in.usage.cached.count());
  usage.set_output(in.usage.output.count());
  out.set_charged_nano_usd(in.charged.count());
  out.set_sends(in.sends);
  out.set_maybe_billed(in.maybe_billed);
  out.set_done_at_unix_ms(to_ms(in.done_at));
}

bool get(const pb::ResultFacts& in, result_facts& out) {
  const auto done_at = from_ms(in.done_at_unix_ms());
  if (!get(in.place(), out.where) || in.kind() < 0 || in.kind() > pb::ROW_KIND_REFUSED || !done_at)
    return false;
  out.kind = static_cast<row_kind>(in.kind());
  out.job = in.job();
  out.pool = in.pool();
  out.lane = in.lane();
  out.model = in.model();
  out.code = in.code();
  out.usage = {in.usage().known(), tokens(in.usage().input()), tokens(in.usage().cached()),
               tokens(in.usage().output())};
  out.charged = nano_usd(in.charged_nano_usd());
  out.sends = in.sends();
  out.maybe_billed = in.maybe_billed();
  out.done_at = *done_at;
  return true;
}

}  // namespace spillway::kafka::wire
