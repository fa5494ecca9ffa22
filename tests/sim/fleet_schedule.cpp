// Draws what happens to a fleet, and makes it happen.
#include "tests/sim/fleet_world.hpp"

#include <algorithm>

namespace spillway::sim {

using namespace std::chrono_literals;

fleet_schedule draw_fleet_schedule(std::uint64_t seed) {
  random_engine random(seed * 7919 + 17);
  const auto from = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const auto chance = [&](double p) {
    return std::uniform_real_distribution<double>(0, 1)(random) < p;
  };
  const auto share = [&](double most) {
    return std::uniform_real_distribution<double>(0, most)(random);
  };
  fleet_schedule s;
  s.seed = seed;
  s.members = from(2, 3);
  s.prompts = static_cast<std::size_t>(from(5, 60));
  s.window = static_cast<std::size_t>(from(1, 16));
  s.answer_max = chance(0.5) ? 3s : 500ms;
  s.faulty_for = std::chrono::seconds(from(4, 20));
  if (chance(0.6)) s.refused = share(0.2);
  if (chance(0.6)) s.dropped = share(0.1);
  if (chance(0.6)) s.failing = share(0.3);
  s.hold = chance(0.15);
  if (chance(0.25)) s.budget = nano_usd(from(500, 6000));
  auto& f = s.faults;
  if (chance(0.5)) {
    f.lost_request = share(0.02);
    f.lost_reply = share(0.02);
    f.straggler = share(0.02);
    f.open_fault = share(0.2);
  }
  if (chance(0.3)) f.late_error = share(0.3);
  if (chance(0.1)) f.refused = share(0.01);
  f.hole = chance(0.3);
  f.silent_markers = chance(0.5);
  if (chance(0.2)) f.transaction_timeout = 1s;
  const bool deaths = chance(0.6);
  s.kills = deaths ? from(0, 4) : 0;
  s.zombies = deaths ? from(0, 2) : 0;
  s.wrong_hints = deaths && chance(0.5) ? from(0, 2) : 0;
  s.hand_overs = from(0, 4);
  s.outages = chance(0.3) ? from(1, 2) : 0;
  s.retries = chance(0.3) ? from(1, 2) : 0;
  s.cancel = chance(0.15);
  s.keeps_index = share(1);
  s.stale_index = share(0.5);
  return s;
}

namespace {

struct member {
  std::string name;
  bool alive = true, paused = false, hint = false;
  time_point restart{};
  std::unique_ptr<fleet_owner> owner;
  std::list<std::unique_ptr<fleet_owner>> leaving;
};

/// The group, and whoever pulls plugs.
class director {
 public:
  explicit director(const fleet_schedule& s) : plan_(s), world_(s) {
    world_.broker.faults = s.faults;
    for (int i = 0; i < s.members; ++i) members_.emplace_back().name = "m" + std::to_string(i);
    members_[0].hint = true;
  }
  fleet_report run();

 private:
  using later = std::function<void()>;
  std::size_t below(std::size_t n) { return world_.broker.random()() % n; }
  duration between(duration low, duration high) { return world_.broker.between(low, high); }
  bool chance(double p) { return world_.broker.chance(p); }
  member& other(const member& m);
  member* holder();
  void plan_faults();
  void tick();
  void tend(member&);
  void start(member&);
  void lose(member&, std::unique_ptr<fleet_owner>&);
  void kill(member&);
  void zombie(member&);
  void hand_over(member& from, member& to);
  void wait_for_hand_over(member& from, member* to, fleet_owner* leaving, time_point until);
  void leave(member&);
  void wrong_hint(member& from);
  void command();
  void calm();
  bool idle_now();
  void audit();

  const fleet_schedule& plan_;
  fleet_world world_;
  std::vector<member> members_;
  bool calm_ = false, moving_ = false;
};

member* director::holder() {
  for (auto& m : members_)
    if (m.hint) return &m;
  return nullptr;
}

member& director::other(const member& m) {
  for (;;) {
    auto& o = members_[below(members_.size())];
    if (o.name != m.name) return o;
  }
}

void director::start(member& m) {
  std::string index;
  auto& kept = world_.disk[m.name];
  if (!kept.empty() && chance(plan_.keeps_index))
    index = chance(plan_.stale_index) ? kept[below(kept.size())] : kept.back();
  if (!index.empty() && chance(0.05)) index[below(index.size())] ^= 1;
  m.owner = std::make_unique<fleet_owner>(world_, m.name, index);
}

/// What an owner had in flight may be sent again when it is gone without a word.
void director::lose(member&, std::unique_ptr<fleet_owner>& owner) {
  if (!owner) return;
  world_.trace("director", "lost " + owner->describe());
  owner->give_up_calls();
  ++world_.report.deaths;
  owner.reset();
}

void director::tend(member& m) {
  if (!m.alive && world_.time.now() >= m.restart) m.alive = true;
  if (!m.alive || m.paused) return;
  if (m.owner && m.owner->over()) {
    if (m.owner->last().state == kafka::owner_state::dropped)
      lose(m, m.owner);
    else
      m.owner.reset();
  }
  for (auto at = m.leaving.begin(); at != m.leaving.end();) {
    auto& o = **at;
    if (o.open_calls() == 0) o.close();
    at = o.over() ? m.leaving.erase(at) : std::next(at);
  }
  if (m.hint && !m.owner) start(m);
}

void director::tick() {
  for (auto& m : members_) tend(m);
  if (!calm_ || moving_) return;
  // In the end the group makes up its mind.
  auto* chosen = holder();
  for (auto& m : members_) {
    if (!m.alive || m.paused) continue;
    if (!chosen) chosen = &m;
    m.hint = &m == chosen;
    if (!m.hint) lose(m, m.owner);
  }
}

void director::kill(member& m) {
  if (!m.alive) return;
  lose(m, m.owner);
  while (!m.leaving.empty()) {
    lose(m, m.leaving.front());
    m.leaving.pop_front();
  }
  m.alive = m.paused = false;
  m.restart = world_.time.now() + between(100ms, 4s);
  if (!m.hint) return;
  if (chance(0.5)) return;  // a static member that comes back in time keeps its partition
  m.hint = false;
  world_.time.after(between(100ms, 6s), [this, &m] {
    if (!holder()) other(m).hint = true;
  });
}

void director::zombie(member& m) {
  if (!m.alive || m.paused) return;
  const auto asleep = between(500ms, 12s);
  const auto all = [&m](bool paused) {
    if (m.owner) m.owner->pause(paused);
    for (auto& o : m.leaving) o->pause(paused);
  };
  m.paused = true;
  world_.trace("director", m.name + " sleeps for " + std::to_string(seconds_of(asleep)));
  all(true);
  if (asleep > 5s && m.owner && m.owner->handed_over()) m.owner->give_up_calls();
  if (asleep > 5s)
    for (auto& o : m.leaving) o->give_up_calls();
  if (asleep > 6s && m.hint)
    world_.time.after(6s, [this, &m] {
      if (m.alive && m.paused && m.hint) other(m).hint = true;
    });
  const bool lost = asleep > 6s;
  world_.time.after(asleep, [this, &m, all, lost] {
    if (!m.paused || !m.alive) return;
    m.paused = false;
    all(false);
    if (!lost || !m.hint) return;
    world_.time.after(between(0ms, 2s), [this, &m] {
      bool elsewhere = false;
      for (auto& o : members_) elsewhere |= o.name != m.name && o.hint;
      if (!elsewhere || !m.hint) return;
      m.hint = false;
      lose(m, m.owner);
    });
  });
}

void director::leave(member& m) {
  if (!m.owner) return;
  world_.trace("director", "leaves " + m.owner->describe());
  m.owner->leave();
  m.leaving.push_back(std::move(m.owner));
}

void director::hand_over(member& from, member& to) {
  if (!from.alive || from.paused || !from.owner || moving_) return;
  moving_ = true;
  from.owner->suspend();
  wait_for_hand_over(from, &to, from.owner.get(), world_.time.now() + 3s);
}

void director::wait_for_hand_over(member& from, member* to, fleet_owner* leaving,
                                  time_point until) {
  world_.time.after(5ms, [this, &from, to, leaving, until] {
    const bool there = from.alive && from.owner.get() == leaving;
    if (there && !from.paused && !leaving->over() && !leaving->last().handed_over &&
        world_.time.now() < until)
      return wait_for_hand_over(from, to, leaving, until);
    if (there && from.paused) return wait_for_hand_over(from, to, leaving, until);
    moving_ = false;
    if (there && !leaving->over() && (to == &from || chance(0.2))) return leaving->resume();
    if (there && !leaving->over())
      leave(from);
    else if (there)
      lose(from, from.owner);
    from.hint = false;
    if (!holder()) to->hint = true;
  });
}

void director::wrong_hint(member& from) {
  if (!from.owner || moving_) return;
  auto& to = other(from);
  to.hint = true;
  world_.time.after(between(100ms, 3s), [this, &from, &to] {
    if (moving_ || !from.hint || !to.hint) return;
    auto& loser = chance(0.5) ? from : to;
    loser.hint = false;
    if (loser.paused || !loser.alive) return;
    if (loser.owner && chance(0.5)) {
      loser.owner->suspend();
      leave(loser);
    } else {
      lose(loser, loser.owner);
    }
  });
}

void director::command() {
  world_.retry("a");
  for (auto& m : members_)
    if (m.owner && !m.owner->over()) m.owner->command(world_.commands.back());
}

void director::plan_faults() {
  const auto some = [this](int count, later what) {
    for (int i = 0; i < count; ++i) world_.time.after(between(0ms, plan_.faulty_for), what);
  };
  const auto on_holder = [this](void (director::*what)(member&)) {
    return [this, what] {
      if (auto* m = holder()) (this->*what)(*m);
    };
  };
  some(plan_.kills, on_holder(&director::kill));
  some(plan_.zombies, on_holder(&director::zombie));
  some(plan_.wrong_hints, on_holder(&director::wrong_hint));
  some(plan_.hand_overs, [this] {
    if (auto* m = holder()) hand_over(*m, other(*m));
  });
  some(plan_.retries, [this] { command(); });
  some(plan_.outages, [this] {
    world_.broker.down = true;
    world_.time.after(between(200ms, 3s), [this] { world_.broker.down = false; });
  });
  if (plan_.cancel)
    some(1, [this] {
      world_.cancelled.insert("b");
      for (auto& m : members_)
        if (m.owner && !m.owner->over()) m.owner->cancel("b");
    });
}

void director::calm() {
  calm_ = true;
  world_.broker.faults = {};
  world_.broker.faults.hole = plan_.faults.hole;
  world_.broker.down = false;
}

/// With a budget the rest may have to wait for more money.
bool director::idle_now() {
  if (world_.complete()) return true;
  auto* m = holder();
  return plan_.budget > nano_usd(0) && m && m->owner && m->owner->out_of_money();
}

void director::audit() {
  // A member that never was here reads everything from the log.
  for (auto& m : members_) m.owner.reset(), m.leaving.clear();
  fleet_owner last(world_, "auditor", "");
  for (int i = 0; i < 20'000 && !last.active() && world_.time.step(); ++i) {
  }
  if (!last.active()) return world_.fail("nobody could take over at the end: " + last.describe());
  world_.check_end(last.inner().known());
}

fleet_report director::run() {
  const auto begin = world_.time.now();
  plan_faults();
  for (int i = 1; i < 4000; ++i) world_.time.at(begin + i * 50ms, [this] { tick(); });
  world_.time.after(plan_.faulty_for, [this] { calm(); });
  const auto limit = begin + 190s;
  while (world_.problem.empty() && world_.time.now() < limit && world_.time.step())
    if (calm_ && world_.time.now() > begin + plan_.faulty_for + 13s && idle_now()) break;
  if (world_.problem.empty() && !idle_now()) {
    auto why = "not complete: " + world_.missing();
    for (auto& m : members_)
      if (m.owner) why += "; " + m.owner->describe();
    world_.fail(why);
  }
  // Whoever has nothing to do writes nothing.
  const auto settled = world_.time.now() + 6s;
  while (world_.problem.empty() && world_.time.now() < settled && world_.time.step()) {
  }
  const auto before = world_.broker.transactions;
  while (world_.problem.empty() && world_.time.now() < settled + 5s && world_.time.step()) {
  }
  if (world_.complete() && world_.broker.transactions != before)
    world_.fail("an idle owner starts transactions");
  auto& r = world_.report;
  r.transactions = world_.broker.transactions;
  if (world_.problem.empty()) audit();
  for (auto& m : members_) m.owner.reset(), m.leaving.clear();
  r.problem = world_.problem;
  r.took = world_.time.now() - begin;
  return r;
}

}  // namespace

fleet_report run_fleet_schedule(const fleet_schedule& s) { return director(s).run(); }

}  // namespace spillway::sim
