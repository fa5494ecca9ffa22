#include "connectors/kafka/codec.hpp"
#include "schemas/result.hpp"
#include "tests/sim/fleet_world.hpp"

#include <algorithm>

namespace spillway::sim {

using namespace std::chrono_literals;
using namespace kafka;

namespace {

constexpr nano_usd worst{100};
constexpr duration call_timeout = 5s, intent_good_for = 4s;

owner_setup setup_of(const std::string& session, std::string index) {
  owner_setup s;
  s.session = session;
  s.fleet = "fleet-uuid";
  s.producer = "spillway.0";
  s.index = std::move(index);
  s.limits.snapshot_after = 2s;
  s.limits.index_after = 300ms;
  s.limits.commit_results = 12;
  s.limits.refused_wait = 1s;
  s.limits.read_back_max = 4s;
  return s;
}

}  // namespace

fleet_owner::fleet_owner(fleet_world& world, std::string member, std::string index)
    : world_(world),
      member_(std::move(member)),
      session_("s" + std::to_string(world.next_session())),
      owner_(setup_of(session_, std::move(index)), [this](std::uint64_t incarnation) {
        return world_.broker.connect([this, incarnation](link_event e) {
          if (const auto* o = std::get_if<link_offsets>(&e)) ends_[o->of] = o->high_watermark;
          mail_.push_back({incarnation, std::move(e)});
          wake(world_.time.now());
        });
      }) {
  ++world_.report.owners;
  wake(world_.time.now());
}

fleet_owner::~fleet_owner() {
  *alive_ = false;
  const auto& c = owner_.counters();
  auto& sum = world_.report.counters;
  for (auto field :
       {&owner_counters::transactions, &owner_counters::commits, &owner_counters::fences,
        &owner_counters::reopenings, &owner_counters::salvaged, &owner_counters::late,
        &owner_counters::ignored, &owner_counters::duplicates, &owner_counters::snapshots,
        &owner_counters::trims, &owner_counters::rebuilt})
    sum.*field += c.*field;
}

void fleet_owner::trace(const std::string& what) const {
  world_.trace(member_ + "/" + session_, what);
}

void fleet_owner::wake(time_point when) {
  if (when >= wake_ && wake_ >= world_.time.now()) return;
  wake_ = when;
  if (when == time_never) return;
  world_.time.at(when, [this, alive = alive_, when] {
    if (!*alive || wake_ != when) return;
    wake_ = time_never;
    step();
  });
}

void fleet_owner::resume() {
  if (world_.owner == session_) world_.clean = false;
  suspended_ = false;
  owner_.resume();
  step();
}

void fleet_owner::pause(bool paused) {
  if (paused_ == paused) return;
  paused_ = paused;
  if (!paused) wake(world_.time.now());
}

void fleet_owner::step() {
  if (paused_ || stepping_) return;
  stepping_ = true;
  for (int i = 0; i < 8; ++i) {
    run(std::exchange(mail_, {}));
    if (recovered_ && !over()) {
      read_shards();
      send_more(next_);
    }
    if (next_.attempts.empty() && next_.finished.empty()) break;
    owner_.append(++seq_, std::exchange(next_, {}));
  }
  stepping_ = false;
}

void fleet_owner::run(std::vector<link_message> mail) {
  last_ = owner_.step(world_.time.now(), std::move(mail), assigned_);
  take(last_);
  wake(last_.wake);
}

void fleet_owner::take(const owner_output& out) {
  if (out.state != state_)
    trace("state " + std::to_string(static_cast<int>(out.state)) + " " + out.message);
  const bool active_now = out.state == owner_state::active && state_ != out.state;
  state_ = out.state;
  if (world_.owner == session_ && (out.handed_over || (out.state == owner_state::closed && !left_)))
    world_.clean = true;
  if (out.recovered) start(*out.recovered);
  if (active_now) {
    world_.owner = session_;
    world_.clean = false;
  }
  if (out.index) world_.disk[member_].push_back(*out.index);
  if (out.watermark) world_.watermark(*out.watermark);
  for (const auto& s : out.settled) {
    auto& p = prompts_.at(s.facts.where.prompt());
    if (p.at != stage::held) world_.fail("settled what was not held");
    settled_ += s.facts.charged - p.last.charged;
    reserved_ -= p.last.reserved;
    p.at = stage::done;
    trace("settled " + text_of(s.facts.where) + " charged " +
          std::to_string(s.facts.charged.count()));
  }
  for (const auto& r : out.reopened) {
    auto& p = prompts_[r.history.where.prompt()];
    trace("reopened " + text_of(r.history.where) + (r.in_doubt ? " in doubt" : "") +
          (r.retried ? " retried" : ""));
    if (p.at == stage::waiting && !r.retried && p.last.job.empty())
      world_.fail("reopened what is unknown");
    if (!r.retried && p.at != stage::held) world_.fail("released what was not held");
    if (r.retried) {
      const auto job = p.last.job.empty() ? world_.commands.front().job : p.last.job;
      p.last = r.history;
      p.last.job = job;
    } else {
      settled_ += r.history.charged - p.last.charged;
      reserved_ -= p.last.reserved;
      p.last = r.history;
    }
    p.doubtful = r.in_doubt;
    p.at = stage::waiting;
    retry_later(p);
  }
  if (out.durable) durable(*out.durable);
}

void fleet_owner::start(const recovered_partition& r) {
  recovered_ = true;
  std::map<std::pair<std::int64_t, bool>, const done_rows*> bits;
  for (const auto& rows : r.done) bits[{rows.base, rows.line_records}] = &rows;
  std::map<place, std::uint32_t> generations;
  for (const auto& g : r.generations) generations[g.prompt()] = g.generation;
  std::set<place> again;
  for (const auto& p : r.reopened) again.insert(p.prompt());
  for (const auto& j : r.jobs) {
    settled_ += j.settled();
    nano_usd lanes;
    for (const auto& l : j.lanes) lanes += l.totals.settled;
    if (lanes != j.settled()) world_.fail("the lanes' money is not the job's");
  }
  for (const auto& [where, job] : world_.input) {
    auto& p = prompts_[where];
    p.last.where = where.in(generations[where]);
    p.last.job = job;
    const auto at = bits.find({where.base(), where.line_record});
    const bool set = at != bits.end() && at->second->done.test(where.bit());
    p.at = set || (where.offset < r.watermark && !again.contains(where)) ? stage::done
                                                                         : stage::waiting;
  }
  for (const auto& a : r.attempts) prompts_.at(a.where.prompt()).last = a;
  for (const auto& h : r.held) {
    auto& p = prompts_.at(h.where.prompt());
    p.at = stage::held;
    reserved_ += p.last.reserved;
  }
  trace("recovered, watermark " + std::to_string(r.watermark) + " salvaged " +
        std::to_string(r.salvaged) + " late " + std::to_string(r.late));
  for (auto& [where, p] : prompts_) {
    if (p.at == stage::held) trace("held " + text_of(where));
    if (p.at != stage::waiting || !p.last.in_flight) continue;
    trace("in doubt " + text_of(where));
    if (!world_.clean) world_.allow(p.last.where, ends_[topic::results], ends_[topic::late]);
    p.last = book::in_doubt(p.last);
    settled_ += worst;
    p.doubtful = true;
    next_.attempts.push_back(p.last);
  }
  read_to_ = r.watermark;
  for (const auto& c : world_.commands) owner_.command(c);
  cancelled_ = world_.cancelled;
  for (auto& [where, p] : prompts_)
    if (p.at == stage::waiting) retry_later(p);
}

void fleet_owner::read_shards() {
  for (const auto& r : world_.records) {
    const auto end = r.offset + (r.line_records ? r.count : 1);
    if (end <= read_to_) continue;
    owner_.note(r);
    read_to_ = end;
  }
}

void fleet_owner::cancel(const std::string& job) {
  cancelled_.insert(job);
  for (auto& [where, p] : prompts_)
    if (recovered_ && p.at == stage::waiting) retry_later(p);
  step();
}

/// A prompt that waits to be sent: or its job or policy ends it now.
void fleet_owner::retry_later(prompt& p) {
  p.at = stage::waiting;
  if (p.doubtful && world_.plan.hold)
    finish(p, row_kind::failed, "in_doubt", p.last.charged);
  else if (cancelled_.contains(p.last.job))
    finish(p, row_kind::failed, "cancelled", p.last.charged);
}

void fleet_owner::send_more(owner_group& group) {
  if (!active() || suspended_ || paused_) return;
  for (auto& [where, p] : prompts_) {
    if (under_way_ >= world_.plan.window) return;
    if (p.at != stage::waiting) continue;
    if (world_.plan.budget > nano_usd(0) && settled_ + reserved_ + worst > world_.plan.budget)
      return;
    p.last.in_flight = true;
    ++p.last.sends;
    p.last.pool = "pool";
    p.last.lane = where.offset % 2 ? "lane-a" : "lane-b";
    p.last.reserved = worst;
    p.last.at = world_.time.now();
    p.last.deadline = world_.time.now() + call_timeout;
    reserved_ += worst;
    p.at = stage::intended;
    p.seq = seq_ + 1;
    p.handed = world_.time.now();
    ++under_way_;
    group.attempts.push_back(p.last);
  }
}

void fleet_owner::durable(std::uint64_t seq) {
  if (seq < durable_ || seq > seq_) world_.fail("durable goes back, or ahead");
  durable_ = seq;
  for (auto& [where, p] : prompts_) {
    if (p.seq > seq) continue;
    if (p.at == stage::answered) p.at = stage::done;
    if (p.at != stage::intended) continue;
    if (!suspended_ && active() && world_.time.now() - p.handed <= intent_good_for) {
      send(p);
      continue;
    }
    --under_way_;
    p.last.in_flight = false;
    --p.last.sends;
    p.last.reserved = nano_usd(0);
    reserved_ -= worst;
    next_.attempts.push_back(p.last);
    retry_later(p);
  }
}

void fleet_owner::send(prompt& p) {
  p.at = stage::sent;
  ++open_;
  trace("sends " + text_of(p.last.where));
  world_.sent(p.last.where);
  auto& b = world_.broker;
  const auto& plan = world_.plan;
  auto how = outcome::answered;
  if (b.chance(plan.refused))
    how = outcome::refused;
  else if (b.chance(plan.dropped))
    how = outcome::dropped;
  else if (b.chance(plan.failing))
    how = outcome::failed;
  const auto took = b.between(10ms, plan.answer_max);
  const nano_usd bill(how == outcome::refused ? 0 : b.between(1ns, 100ns).count());
  world_.time.after(took / 2, [&world = world_, bill] { world.bill(bill); });
  world_.time.after(took, [this, alive = alive_, where = p.last.where, how, bill] {
    if (*alive) answered(where, how, bill);
  });
}

void fleet_owner::answered(const place& where, outcome how, nano_usd bill) {
  if (paused_) {
    world_.time.after(50ms, [this, alive = alive_, where, how, bill] {
      if (*alive) answered(where, how, bill);
    });
    return;
  }
  trace("answer to " + text_of(where) + ", " + std::to_string(static_cast<int>(how)) + " bill " +
        std::to_string(bill.count()));
  auto& p = prompts_.at(where.prompt());
  --open_;
  --under_way_;
  reserved_ -= worst;
  if (how == outcome::refused || how == outcome::dropped) {
    world_.cleared(where);
    p.last.in_flight = false;
    p.last.reserved = nano_usd(0);
    if (how == outcome::dropped) {
      ++p.last.maybe_billed;
      p.last.charged += worst;
      settled_ += worst;
      p.doubtful = true;
    }
    next_.attempts.push_back(p.last);
    retry_later(p);
  } else {
    settled_ += bill;
    const bool good = how == outcome::answered;
    finish(p, good ? row_kind::answered : row_kind::failed, good ? "" : "bad",
           p.last.charged + bill);
  }
  step();
}

void fleet_owner::finish(prompt& p, row_kind kind, const std::string& code, nano_usd charged) {
  finished_row row;
  row.key = p.last.job + "/" + std::to_string(p.last.where.offset) + "-" +
            std::to_string(p.last.where.index);
  row.row = "{\"row\":\"" + row.key + "\"}\n";
  auto& f = row.facts;
  f.where = p.last.where;
  f.kind = kind;
  f.job = p.last.job;
  f.code = code;
  f.pool = p.last.pool;
  f.lane = p.last.lane;
  f.charged = charged;
  f.sends = p.last.sends;
  f.maybe_billed = p.last.maybe_billed;
  f.done_at = world_.time.now();
  p.at = stage::answered;
  p.seq = seq_ + 1;
  std::erase_if(next_.attempts, [&](const fleet_attempt& a) { return a.where == f.where; });
  next_.finished.push_back(std::move(row));
}

bool fleet_owner::handed_over() const {
  if (suspended_) return true;
  bool handed = false;
  for (const auto& r : world_.broker.records(topic::journal, 0, INT64_MAX, false)) {
    const auto note = decode_journal_record(r.what.value);
    if (!note || note->session != session_) continue;
    if (std::holds_alternative<hand_over_note>(note->what)) handed = true;
    if (std::holds_alternative<resumed_note>(note->what)) handed = false;
  }
  return handed;
}

void fleet_owner::give_up_calls() const {
  for (const auto& [where, p] : prompts_)
    if (p.at == stage::sent || p.at == stage::answered) world_.allow(p.last.where);
}

bool fleet_owner::out_of_money() const {
  return active() && under_way_ == 0 && settled_ + reserved_ + worst > world_.plan.budget &&
         std::all_of(prompts_.begin(), prompts_.end(), [](const auto& p) {
           return p.second.at == stage::waiting || p.second.at == stage::done;
         });
}

std::string fleet_owner::describe() const {
  std::map<stage, int> counts;
  for (const auto& [where, p] : prompts_) ++counts[p.at];
  return member_ + "/" + session_ + " state " + std::to_string(static_cast<int>(last_.state)) +
         " waiting " + std::to_string(counts[stage::waiting]) + " intended " +
         std::to_string(counts[stage::intended]) + " sent " + std::to_string(counts[stage::sent]) +
         " answered " + std::to_string(counts[stage::answered]) + " held " +
         std::to_string(counts[stage::held]) + " done " + std::to_string(counts[stage::done]) +
         " " + last_.message;
}

}  // namespace spillway::sim
