// The engine alone, for tests: logs in memory, calls answered by hand.
#pragma once

#include "orchestrator/engine/engine.hpp"

#include <spdlog/spdlog.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace spillway::sim {

using namespace std::chrono_literals;

inline constexpr time_point start(1'790'000'000s);

inline std::string line_of(const std::string& id, const std::string& model = "m") {
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"model":")" + model +
         R"(","max_tokens":10,"messages":[]}})"
         "\n";
}

/// An endless log that keeps what it is told, in order.
class memory_log final : public partition_log {
 public:
  explicit memory_log(partition_id id) : id_(id) {}

  result<recovered_log> take_over() override { return recovered_log{}; }
  result<std::optional<shard_data>> read_next() override {
    if (next_ == shards_.size()) return std::optional<shard_data>{};
    return std::optional<shard_data>(shards_[next_++]);
  }
  result<shard_data> read(const shard_descriptor& where) override {
    return shards_.at(where.id.value());
  }
  bool endless() const override { return true; }
  void append(commit_seq seq, commit_group group) override {
    last = seq;
    for (auto& f : group.finished) {
      said.push_back("row " + std::to_string(f.where.local()));
      rows.push_back(std::move(f));
    }
    for (auto& a : group.attempts) {
      said.push_back((a.in_flight ? "intent " : "ended ") + std::to_string(a.where.local()));
      attempts.push_back(std::move(a));
    }
    for (auto& t : group.totals) totals[t.job.value()] = std::move(t.lane);
  }
  result<void> close() override { return {}; }
  std::optional<duration> intent_validity() const override { return 4s; }
  void suspend() override { said.push_back("suspend"); }
  void resume() override { said.push_back("resume"); }
  void leave() override { said.push_back("leave"); }

  void add(std::uint32_t job, std::uint32_t lines, const std::string& bad = {}) {
    shard_data s;
    for (std::uint32_t i = 0; i < lines; ++i)
      s.bytes += line_of("p" + std::to_string(shards_.size()) + "-" + std::to_string(i));
    s.bytes += bad;
    s.size = s.bytes.size();
    s.bytes.append(read_padding, '\0');
    s.where.id = shard_id(static_cast<std::uint32_t>(shards_.size()));
    s.where.partition = id_;
    s.where.job = job_number(job);
    s.where.length = s.size;
    s.where.first_line = 1;
    s.where.count = lines + (bad.empty() ? 0 : 1);
    s.where.ids_checked = true;
    shards_.push_back(std::move(s));
  }
  [[nodiscard]] const shard_descriptor& shard(std::size_t i) const { return shards_[i].where; }

  commit_seq last{0};
  std::vector<std::string> said;
  std::vector<finished_prompt> rows;
  std::vector<attempt_record> attempts;
  std::map<std::uint32_t, named_totals> totals;

 private:
  partition_id id_;
  std::vector<shard_data> shards_;
  std::size_t next_ = 0;
};

/// Keeps calls until the test answers them.
class hand_transport final : public transport {
 public:
  void submit(lane_id lane, std::vector<outgoing_call> calls) override {
    for (auto& c : calls) {
      send_before = c.send_before;
      open.emplace_back(lane, c.id);
    }
  }
  void cancel_queued() override { ++cancels; }
  void cancel_all() override { ++cancels; }

  std::vector<std::pair<lane_id, call_id>> open;
  time_point send_before{};
  int cancels = 0;
};

inline call_result answer(call_id id, time_point now, int status = 200) {
  call_result r;
  r.id = id;
  r.written = true;
  r.sent_at = r.done_at = now;
  r.response.status = status;
  r.response.body =
      status == 200
          ? R"({"choices":[{"message":{}}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}})"
          : R"({"error":{"message":"bad","type":"invalid_request_error","code":"bad"}})";
  return r;
}

inline std::vector<pool_config> pools_of(const std::vector<std::string>& names,
                                         std::int64_t concurrency = 100) {
  std::vector<pool_config> pools;
  for (const auto& name : names) {
    pool_config p;
    p.name = name;
    p.provider = provider_kind::openai_compatible;
    p.endpoint = "http://127.0.0.1:1/v1";
    lane_config lane;
    lane.model = lane.as = "m";
    lane.quota.concurrency = concurrency;
    lane.price = price_config{pico_usd_per_token(1'000'000), pico_usd_per_token(1'000'000), {}};
    p.lanes.push_back(lane);
    pools.push_back(p);
  }
  return pools;
}

/// An engine, its logs, and a reader that reads at once.
class engine_stage : public shard_reader {
 public:
  explicit engine_stage(std::int64_t concurrency = 100)
      : engine_stage(pools_of({"a"}, concurrency)) {}
  explicit engine_stage(std::vector<pool_config> pools, authenticator_factory credentials = {})
      : runner(1) {
    spdlog::set_level(spdlog::level::off);
    const std::vector<std::int64_t> slots(pools.size(), 1'000);
    e = *engine::make({.pools = std::move(pools),
                       .file_name = [](file_id) { return std::string("in"); },
                       .seed = 1,
                       .endless = true,
                       .authenticators = std::move(credentials)},
                      slots, start);
    e->connect(net, *this, runner);
    put_job(0);
    put_job(1);
  }
  void put_job(std::uint32_t id, bool cancelled = false) {
    job_setup j;
    j.name = "job-" + std::to_string(id);
    j.cancelled = cancelled;
    e->put_job(job_number(id), j, now);
  }
  memory_log& attach(std::uint32_t p, recovered_log found = {}) {
    auto& log = logs[p];
    if (!log) log = std::make_unique<memory_log>(partition_id(p));
    lines[p] = std::make_unique<intake>(*log, e->lookup(), runner, 1 << 20, found.shards);
    e->attach(partition_id(p), *log, std::move(found), now);
    return *log;
  }
  void read_next(partition_id p) override { asked[p.value()] = true; }
  void read_again(const shard_descriptor& where) override {
    next.of(where.partition).shards.push_back(*lines[where.partition.value()]->again(where));
  }
  /// Steps, reads and syncs until nothing changes.
  void settle() {
    for (int i = 0; i < 20; ++i) {
      for (auto& [p, wanted] : asked) {
        if (!wanted) continue;
        auto shard = *lines[p]->next();
        if (!shard) continue;
        wanted = false;
        next.of(partition_id(p)).shards.push_back(*std::move(shard));
      }
      for (auto& [p, log] : logs)
        if (log->last > durable[p]) next.of(partition_id(p)).durable = durable[p] = log->last;
      step();
    }
  }
  void step() {
    now += 1ms;
    e->step(now, std::exchange(next, {}));
  }
  void end(hand_transport& from, std::size_t i, int status = 200) {
    next.calls.push_back(answer(from.open.at(i).second, now, status));
    from.open.erase(from.open.begin() + static_cast<std::ptrdiff_t>(i));
  }
  void end_all(hand_transport& from, int status = 200) {
    while (!from.open.empty()) end(from, 0, status);
  }
  job_progress progress(std::uint32_t job, std::uint32_t partition) {
    for (const auto& p : e->jobs(now))
      if (p.job == job_number(job) && p.partition == partition_id(partition)) return p;
    return {};
  }

  parallel_runner runner;
  hand_transport net;
  time_point now = start;
  engine_events next;
  std::map<std::uint32_t, std::unique_ptr<memory_log>> logs;
  std::map<std::uint32_t, std::unique_ptr<intake>> lines;
  std::map<std::uint32_t, bool> asked;
  std::map<std::uint32_t, commit_seq> durable;
  std::unique_ptr<engine> e;
};

}  // namespace spillway::sim
