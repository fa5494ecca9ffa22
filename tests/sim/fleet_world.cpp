#include "tests/sim/fleet_world.hpp"

#include "connectors/kafka/codec.hpp"

#include <algorithm>

namespace spillway::sim {

using namespace std::chrono_literals;
using namespace kafka;

/// Records of several lines and runs of line records, with the gaps that transactions leave.
fleet_world::fleet_world(const fleet_schedule& s) : plan(s), broker(time, s.seed) {
  broker.committed = [this](const stored_record& r) { on_committed(r); };
  auto& random = broker.random();
  while (input.size() < plan.prompts) {
    const bool lines = random() % 3 == 0;
    const auto job = random() % 3 == 0 ? "b" : "a";
    const auto count = static_cast<std::uint32_t>(1 + random() % 7);
    const auto first = broker.offsets(topic::shards).high_watermark;
    if (random() % 8 == 0) {
      broker.append(topic::shards, {});
      records.push_back({first, 3, false, true});
      continue;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
      input.emplace_back(lines ? place{first + i, 0, true, 0} : place{first, i, false, 0}, job);
      if (lines || i == 0) broker.append(topic::shards, {});
    }
    records.push_back({first, count, lines, false});
    if (random() % 3 == 0) broker.gap(topic::shards);
  }
}

void fleet_world::sent(const place& p) {
  ++report.calls;
  if (sent_.insert(p).second) return;
  ++report.sent_again;
  trace("world", "again " + text_of(p));
  const auto reason = allowed_.find(p);
  if (reason == allowed_.end()) return fail("sent again without a reason: " + text_of(p));
  allowed_.erase(reason);
}

void fleet_world::allow(const place& p, std::int64_t results_end, std::int64_t late_end) {
  for (const auto t : {topic::results, topic::late})
    for (const auto& r : broker.records(t, 0, t == topic::late ? late_end : results_end, false)) {
      const auto header = *r.what.header(facts_header);
      if (t == topic::results) {
        if (decode_facts(header)->where == p) return;
        continue;
      }
      const auto late = decode_late(header).value();
      const auto* facts = std::get_if<result_facts>(&late.what);
      if (facts && facts->where == p) return;
    }
  allowed_.insert(p);
}

void fleet_world::on_committed(const stored_record& r) {
  const auto facts = decode_facts(*r.what.header(facts_header));
  if (!facts) return fail(facts.error().message);
  const auto& p = facts->where;
  trace("broker", "committed " + text_of(p) + " charged " + std::to_string(facts->charged.count()) +
                      " sends " + std::to_string(facts->sends) + " " + facts->code);
  if (!committed_.emplace(p, *facts).second) fail("a second result of " + text_of(p));
  auto& g = generation_[p.prompt()];
  if (p.generation > 0) {
    const auto before = committed_.find(p.in(p.generation - 1));
    if (before == committed_.end() || before->second.kind != row_kind::failed)
      fail("a result of a generation that no retry opened: " + text_of(p));
  }
  g = std::max(g, p.generation);
}

void fleet_world::watermark(std::int64_t mark) {
  for (const auto& [where, job] : input) {
    if (where.offset >= mark) break;
    if (!committed_.contains(where)) return fail("the watermark passed " + text_of(where));
  }
}

void fleet_world::retry(const std::string& job) {
  commands.push_back({job + "/retry-" + std::to_string(commands.size()), job, true, {}});
  for (const auto& [p, facts] : committed_)
    if (facts.job == job && facts.kind == row_kind::failed &&
        generation_[p.prompt()] == p.generation)
      to_be_retried_[p.prompt()] = p.generation;
}

bool fleet_world::complete() const { return missing().empty(); }

std::string fleet_world::missing() const {
  for (const auto& [where, job] : input) {
    const auto g = generation_.find(where);
    if (g == generation_.end()) return text_of(where);
    const auto due = to_be_retried_.find(where);
    if (due != to_be_retried_.end() && g->second <= due->second) return text_of(where) + " again";
  }
  return "";
}

/// What a new owner finds in the log, when everything is done.
void fleet_world::check_end(const book& known) {
  nano_usd charged, settled, lanes;
  std::int64_t answered = 0, errors = 0;
  for (const auto& [p, facts] : committed_) {
    charged += facts.charged;
    if (known.generation(p) != p.generation) continue;
    ++(facts.kind == row_kind::answered ? answered : errors);
  }
  nano_usd finished;
  for (const auto& [name, j] : known.jobs()) {
    settled += j.settled();
    finished += j.finished_charge;
    answered -= j.answered;
    errors -= j.errors;
    for (const auto& l : j.lanes) lanes += l.totals.settled;
  }
  if (answered != 0 || errors != 0) fail("counts differ from the results");
  if (finished != charged) fail("the finished charge is not the sum of the results'");
  if (lanes != settled) fail("the lanes' money is not the jobs'");
  if (settled < billed) fail("billed more than settled");
  if (plan.budget > nano_usd(0) && billed > plan.budget) fail("billed more than the budget");
}

}  // namespace spillway::sim
