#include "tests/sim/fleet_probe.hpp"

namespace spillway::sim {

using namespace std::chrono_literals;
using namespace kafka;

namespace {

constexpr duration call_timeout = 5s;

owner_setup setup_of(std::string session, std::string index, owner_limits limits) {
  owner_setup s;
  s.session = std::move(session);
  s.fleet = "uuid";
  s.producer = "spillway.0";
  s.index = std::move(index);
  s.limits = limits;
  return s;
}

}  // namespace

void stage_set::run(duration wait) {
  bool over = false;
  time.after(wait, [&over] { over = true; });
  while (!over && time.step()) {
  }
}

probe::probe(stage_set& stage, std::string session, std::string kept, owner_limits limits)
    : stage_(stage),
      owner_(setup_of(std::move(session), std::move(kept), limits),
             [this](std::uint64_t incarnation) {
               incarnation_ = incarnation;
               return stage_.broker.connect([this, incarnation](link_event e) {
                 if (muted) return;
                 mail_.push_back({incarnation, std::move(e)});
                 wake(stage_.time.now());
               });
             }) {
  wake(stage_.time.now());
}

void probe::wake(time_point when) {
  if (when == time_never) return;
  stage_.time.at(when, [this, alive = alive_] {
    if (*alive) step();
  });
}

void probe::step() {
  last = owner_.step(stage_.time.now(), std::exchange(mail_, {}), assigned);
  if (last.recovered) recovered = last.recovered;
  settled.insert(settled.end(), last.settled.begin(), last.settled.end());
  reopened.insert(reopened.end(), last.reopened.begin(), last.reopened.end());
  applied.insert(applied.end(), last.applied.begin(), last.applied.end());
  if (last.index) index = *last.index;
  if (last.durable) durable_ = *last.durable;
  wake(last.wake);
}

bool probe::until(const std::function<bool()>& done) {
  const auto limit = stage_.time.now() + 60s;
  while (!done() && stage_.time.now() < limit)
    if (!stage_.time.step()) break;
  return done();
}

fleet_attempt attempt_of(const place& where, std::uint32_t sends, nano_usd charged,
                         time_point now) {
  fleet_attempt a;
  a.where = where;
  a.job = "j";
  a.pool = "p";
  a.lane = "l";
  a.in_flight = true;
  a.sends = sends;
  a.charged = charged;
  a.reserved = nano_usd(100);
  a.at = now;
  a.deadline = now + call_timeout;
  return a;
}

void probe::intend(const place& where, std::uint32_t sends, nano_usd charged) {
  owner_.append(++seq_, {{attempt_of(where, sends, charged, stage_.time.now())}, {}, {}});
  step();
}

void probe::end(const place& where, std::uint32_t sends) {
  auto a = attempt_of(where, sends, nano_usd(0), stage_.time.now());
  a.in_flight = false;
  a.reserved = nano_usd(0);
  owner_.append(++seq_, {{a}, {}, {}});
  step();
}

void probe::answer(const place& where, nano_usd charged, std::string code, std::uint32_t sends,
                   bool firm) {
  finished_row r;
  r.key = "j/" + std::to_string(where.offset);
  r.row = "{}\n";
  r.facts.where = where;
  r.facts.kind = code.empty() ? row_kind::answered : row_kind::failed;
  r.facts.job = "j";
  r.facts.pool = "p";
  r.facts.lane = "l";
  r.facts.code = std::move(code);
  r.facts.charged = charged;
  r.facts.sends = sends;
  r.facts.done_at = stage_.time.now();
  owner_.append(++seq_, {{}, {std::move(r)}, {}, firm});
  step();
}

std::vector<result_facts> rows(stage_set& stage, bool committed) {
  std::vector<result_facts> out;
  for (const auto& r : stage.broker.records(topic::results, 0, INT64_MAX, committed))
    out.push_back(decode_facts(*r.what.header(facts_header)).value());
  return out;
}

std::vector<journal_record> journal(stage_set& stage) {
  std::vector<journal_record> out;
  for (const auto& r : stage.broker.records(topic::journal, 0, INT64_MAX, false))
    out.push_back(decode_journal_record(r.what.value).value());
  return out;
}

const fleet_attempt* find(const recovered_partition& r, const place& where) {
  for (const auto& a : r.attempts)
    if (a.where == where) return &a;
  return nullptr;
}

bool is_done(const recovered_partition& r, const place& where) {
  for (const auto& rows : r.done)
    if (rows.base == where.base() && rows.line_records == where.line_record)
      return rows.done.test(where.bit());
  return where.offset < r.watermark;
}

}  // namespace spillway::sim
