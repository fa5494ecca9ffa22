#include "tests/sim/world.hpp"

#include <algorithm>

namespace spillway::sim {

using namespace std::chrono_literals;

namespace {

/// Reads when the world lets it.
class waiting_reader final : public shard_reader {
 public:
  void read_next(partition_id) override { ++next_; }
  void read_again(const shard_descriptor& where) override { again_.push_back(where); }
  [[nodiscard]] bool asked() const { return next_ > 0 || !again_.empty(); }
  void serve(intake& in, engine_events& events) {
    if (!again_.empty()) {
      events.of(partition_id(0)).shards.push_back(*in.again(again_.front()));
      again_.pop_front();
      return;
    }
    --next_;
    auto shard = *in.next();
    if (shard)
      events.of(partition_id(0)).shards.push_back(*std::move(shard));
    else
      events.of(partition_id(0)).input_end = true;
  }

 private:
  std::size_t next_ = 0;
  std::deque<shard_descriptor> again_;
};

enum class ending { finished, stopped, killed, endless };

class world {
 public:
  world(const schedule& s, unsigned threads)
      : schedule_(s),
        random_(s.seed * 7919 + 1),
        log_(s.lines, s.shard_lines),
        cloud_(s.config, s.slots, s.seed * 31 + 7),
        office_(s.tokens),
        runner_(threads),
        config_(s.config) {
    cloud_.set_troubles(s.troubles, now_);
    cloud_.set_poison(s.poison);
    if (s.tokens.life == duration{}) return;
    cloud_.set_door([this](const http_request& request) {
      const auto at = request.headers.find("x-token: ");
      return at != std::string::npos &&
             office_.accepts(std::stoull(request.headers.substr(at + 9)));
    });
  }

  run_report run();

 private:
  ending live(time_point kill_at, time_point stop_at);
  void check(run_report&);
  duration some(duration most) {
    return duration(std::uniform_int_distribution<std::int64_t>(1, most.count())(random_));
  }

  const schedule& schedule_;
  random_engine random_;
  fake_log log_;
  fake_cloud cloud_;
  token_office office_;
  parallel_runner runner_;
  run_config config_;
  const time_point start_ = time_point{} + std::chrono::hours(24 * 20'000);
  time_point now_ = start_;
  stop_cause last_stop_ = stop_cause::none;
  bool money_short_ = false;
};

ending world::live(time_point kill_at, time_point stop_at) {
  fake_log::session session(log_);
  auto recovered = *session.take_over();
  for (const auto& where : log_.in_flight()) {
    const auto line = where.shard().value() * schedule_.shard_lines + where.index();
    cloud_.excuse("p" + std::to_string(line));
  }
  engine_setup setup{.pools = config_.pools,
                     .file_name = [](file_id) { return std::string("in.jsonl"); },
                     .seed = schedule_.seed + 1,
                     .window_bytes = schedule_.window_bytes};
  if (schedule_.tokens.life > duration{})
    setup.authenticators = [this](const pool_config&) { return office_.credentials(); };
  office_.set_time(now_);
  auto e = *engine::make(std::move(setup), schedule_.slots, now_);
  job_setup job;
  job.name = "job";
  job.policy = config_.job;
  e->put_job(job_number(0), job, now_);
  intake in(session, e->lookup(), runner_, 1 << 20, recovered.shards);
  waiting_reader reader;
  e->connect(cloud_, reader, runner_);
  e->attach(partition_id(0), session, std::move(recovered), now_);

  const auto give_up = now_ + std::chrono::hours(6);
  time_point wake = now_, sync_at = time_never, read_at = time_never;
  bool asked_to_stop = false;
  while (!e->done()) {
    if (log_.unsynced() && sync_at == time_never)
      sync_at = now_ + some(schedule_.seed % 3 == 0 ? 60ms : 5ms);
    if (reader.asked() && read_at == time_never) read_at = now_ + some(3ms);
    const auto next = std::min(
        {wake, sync_at, read_at, cloud_.next_end(), kill_at, asked_to_stop ? time_never : stop_at});
    if (next >= give_up) return ending::endless;
    now_ = std::max(now_ + duration(1), next);
    cloud_.set_time(now_);
    office_.set_time(now_);
    if (now_ >= kill_at) {
      cloud_.crash();
      log_.crash(random_);
      return ending::killed;
    }
    engine_events events;
    if (now_ >= sync_at) {
      events.of(partition_id(0)).durable = log_.sync();
      sync_at = time_never;
    }
    if (now_ >= read_at) {
      reader.serve(in, events);
      read_at = time_never;
    }
    events.calls = cloud_.take_ended();
    if (!asked_to_stop && now_ >= stop_at) {
      asked_to_stop = true;
      (schedule_.seed % 3 == 0 ? events.abort : events.drain) = true;
    }
    wake = e->step(now_, std::move(events));
  }
  const auto p = e->progress(now_);
  money_short_ = p.stop_reason.find("budget") != std::string::npos;
  if (config_.job.budget && p.settled + p.reserved > *config_.job.budget) money_short_ = true;
  return p.state == run_state::finished ? ending::finished : ending::stopped;
}

run_report world::run() {
  run_report report;
  cloud_.set_faults(schedule_.faults);
  int kills = schedule_.kills, stops = schedule_.stops;
  for (;; ++report.processes) {
    if (report.processes > 40) {
      report.problem = "does not come to an end";
      break;
    }
    if (report.processes > 20) {
      cloud_.set_faults({});  // a healthy world has to be enough
      config_.job.max_error_rate.reset();
    }
    cloud_.set_time(now_);
    time_point kill_at = time_never, stop_at = time_never;
    if (kills > 0) {
      --kills;
      kill_at = now_ + some(kills % 2 == 0 ? 200ms : 6s);
    } else if (stops > 0) {
      --stops;
      stop_at = now_ + some(3s);
    }
    const auto end = live(kill_at, stop_at);
    if (end == ending::endless) {
      report.problem = "no end after six hours";
      break;
    }
    if (end == ending::finished && kills == 0) break;
    if (end == ending::stopped && money_short_) {
      if (cloud_.billed() > *config_.job.budget) report.problem = "the budget was passed";
      config_.job.budget = *config_.job.budget * 4;
    }
    now_ += some(2s);
  }
  check(report);
  return report;
}

void world::check(run_report& report) {
  const auto complain = [&](const std::string& what) {
    if (report.problem.empty()) report.problem = what;
  };
  if (!log_.complaint().empty()) complain(log_.complaint());
  if (!cloud_.complaint().empty()) complain(cloud_.complaint());
  if (log_.finished().size() != schedule_.lines.size())
    complain(std::to_string(log_.finished().size()) + " rows for " +
             std::to_string(schedule_.lines.size()) + " lines");
  std::size_t invalid = 0;
  std::uint64_t print = 14695981039346656037ull;
  for (const auto& [where, f] : log_.finished()) {
    invalid += f.kind == row_kind::invalid;
    report.failed += f.kind != row_kind::invalid && f.kind != row_kind::answered;
    for (const char c : f.row) print = (print ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    const auto p = position::from_value(where);
    const auto id =
        "\"p" + std::to_string(p.shard().value() * schedule_.shard_lines + p.index()) + "\"";
    if (f.kind != row_kind::invalid && f.row.find("\"custom_id\":" + id) == std::string::npos)
      complain("a row with another prompt's id");
    if (f.row.find("invalid_api_key") != std::string::npos) complain("a prompt failed for a token");
    if (f.kind == row_kind::answered && f.row.find("\"content\":" + id) == std::string::npos)
      complain("a row with another prompt's answer");
  }
  if (invalid != schedule_.lines.size() - schedule_.valid)
    complain("wrong number of invalid lines");
  for (const auto& [id, bill] : cloud_.bills())
    if (bill.accepted > 1 + bill.excused)
      complain(id + " was sent " + std::to_string(bill.accepted) + " times with " +
               std::to_string(bill.excused) + " excuses");
  if (config_.job.budget && cloud_.billed() > *config_.job.budget)
    complain("the budget was passed");
  if (log_.settled() < cloud_.billed())
    complain("settled " + std::to_string(log_.settled().count()) + " of " +
             std::to_string(cloud_.billed().count()) + " nano-USD billed");
  if (schedule_.forbidden_pool && cloud_.pools_used().contains(*schedule_.forbidden_pool))
    complain("a prompt left its residency");
  report.fingerprint = print ^ cloud_.calls();
  report.adopted = log_.adopted();
  report.calls = cloud_.calls();
  report.refused = cloud_.refused();
  report.bills = cloud_.bills();
  report.turned_away = cloud_.turned_away();
  report.accepted = cloud_.accepted();
  report.took = now_ - start_;
}

}  // namespace

run_report run_schedule(const schedule& s, unsigned threads) { return world(s, threads).run(); }

}  // namespace spillway::sim
