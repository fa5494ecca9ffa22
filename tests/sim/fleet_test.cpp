// The engine with many partitions and jobs: logs in memory, calls answered by hand.
#include "orchestrator/engine/engine.hpp"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <set>

namespace spillway::sim {
namespace {

using namespace std::chrono_literals;

constexpr time_point start(1'790'000'000s);

std::string line_of(const std::string& id, const std::string& model = "m") {
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

call_result answer(call_id id, time_point now, int status = 200) {
  call_result r;
  r.id = id;
  r.written = true;
  r.sent_at = r.done_at = now;
  r.response.status = status;
  r.response.body =
      status == 200
          ? R"({"choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}})"
          : R"({"error":{"message":"bad","type":"invalid_request_error","code":"bad"}})";
  return r;
}

std::vector<pool_config> pools_of(const std::vector<std::string>& names,
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
class member : public shard_reader {
 public:
  explicit member(std::int64_t concurrency = 100) : runner(1) {
    spdlog::set_level(spdlog::level::off);
    e = *engine::make({.pools = pools_of({"a"}, concurrency),
                       .file_name = [](file_id) { return std::string("in"); },
                       .seed = 1,
                       .endless = true},
                      {1'000}, start);
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

TEST(fleet, partitions_and_jobs_are_kept_apart) {
  member m;
  auto& one = m.attach(3);
  auto& two = m.attach(9);
  one.add(0, 4);
  one.add(1, 2, "oops\n");
  two.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 9u);
  EXPECT_GE(m.net.send_before, m.now) << "an intent is good for a while only";
  EXPECT_EQ(one.attempts.at(0).deadline, one.attempts.at(0).at + 4s + 10min);
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(one.rows.size(), 7u);
  EXPECT_EQ(two.rows.size(), 3u);
  EXPECT_EQ(m.progress(0, 3).answered, 4);
  EXPECT_EQ(m.progress(1, 3).answered, 2);
  EXPECT_EQ(m.progress(1, 3).invalid, 1);
  EXPECT_EQ(m.progress(0, 9).answered, 3);
  EXPECT_EQ(m.progress(0, 9).settled, nano_usd(3 * 8 * 1'000));
  EXPECT_EQ(one.totals.at(0).totals.answered, 4);
  EXPECT_EQ(one.totals.at(1).totals.answered, 2);
  EXPECT_EQ(two.totals.at(0).totals.answered, 3);
  EXPECT_EQ(two.rows[0].custom_id_token, "\"p0-0\"");
  EXPECT_EQ(two.rows[0].pool, "a");
  EXPECT_FALSE(m.e->done()) << "more may come";
  two.add(1, 1);
  m.settle();
  EXPECT_EQ(m.net.open.size(), 1u) << "the reader was still asked for more";
}

TEST(fleet, a_hand_over_gives_back_what_was_not_sent_and_follows_what_was) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 3u);
  log.add(0, 2);
  while (log.attempts.size() < 5) {  // their intents are not durable yet
    if (auto shard = *m.lines[1]->next()) m.next.of(partition_id(1)).shards.push_back(*shard);
    m.step();
  }
  log.said.clear();
  m.e->suspend(partition_id(1));
  m.settle();
  EXPECT_EQ(log.said, (std::vector<std::string>{"ended 512", "ended 513", "suspend"}));
  m.end(m.net, 0);
  m.settle();
  EXPECT_EQ(log.said.back(), "row 0");
  m.e->detach(partition_id(1));
  m.settle();
  EXPECT_EQ(log.said.back(), "leave");
  EXPECT_FALSE(m.e->left(partition_id(1)));
  m.end_all(m.net);
  m.step();
  EXPECT_FALSE(m.e->left(partition_id(1))) << "not durable yet";
  m.settle();
  EXPECT_EQ(log.rows.size(), 3u);
  EXPECT_TRUE(m.e->left(partition_id(1)));
  EXPECT_TRUE(m.net.open.empty());
  m.attach(1);  // again
}

TEST(fleet, a_partition_that_stays_goes_on) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 2);
  m.e->suspend(partition_id(1));
  m.settle();
  EXPECT_TRUE(m.net.open.empty());
  m.e->resume(partition_id(1));
  EXPECT_EQ(log.said.back(), "resume");
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u);
}

TEST(fleet, a_dropped_partition_is_forgotten_with_its_calls) {
  member m(4);
  auto& log = m.attach(1);
  log.add(0, 20);
  m.settle();
  const auto open = m.net.open.size();
  m.e->drop(partition_id(1));
  EXPECT_TRUE(m.e->left(partition_id(1)));
  const auto said = log.said.size();
  m.end_all(m.net);
  auto& other = m.attach(2);
  other.add(0, 20);
  m.settle();
  EXPECT_EQ(log.said.size(), said);
  EXPECT_EQ(m.net.open.size(), open) << "its permits are free";
}

TEST(fleet, failed_prompts_are_sent_again_on_news_of_it) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 5, line_of("x", "unknown"));
  m.settle();
  m.end(m.net, 1, 400);
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 6u);
  EXPECT_EQ(m.progress(0, 1).errors, 2);
  for (const std::uint32_t index : {1u, 5u}) {
    reopened_prompt again;
    again.history.where = position(partition_id(1), shard_id(0), index);
    again.history.pool = "a";
    again.history.lane = "m";
    again.history.sends = 1;
    m.next.of(partition_id(1)).news.reopened.push_back(again);
  }
  m.settle();
  ASSERT_EQ(m.net.open.size(), 1u) << "only that one of its shard";
  EXPECT_EQ(log.rows.size(), 7u) << "the bad line is still one";
  m.end_all(m.net);
  m.settle();
  ASSERT_EQ(log.rows.size(), 8u);
  EXPECT_EQ(log.rows[7].where, position(partition_id(1), shard_id(0), 1));
  EXPECT_EQ(log.rows[7].kind, row_kind::answered);
  EXPECT_EQ(log.rows[7].sends, 2u);
  EXPECT_EQ(m.progress(0, 1).answered, 5);
  EXPECT_EQ(m.progress(0, 1).errors, 1);
}

TEST(fleet, held_prompts_wait_for_the_late_answer_or_the_release) {
  member m;
  auto& log = *(m.logs[1] = std::make_unique<memory_log>(partition_id(1)));
  log.add(0, 4);
  recovered_log found;
  found.shards.push_back({log.shard(0), {}, {}});
  (void)log.read_next();
  for (const std::uint32_t i : {0u, 1u, 2u}) {
    attempt_record a;
    a.where = position(partition_id(1), shard_id(0), i);
    a.in_flight = true;
    a.pool = "a";
    a.lane = "m";
    a.sends = 1;
    a.reserved = nano_usd(50'000);
    found.attempts.push_back(a);
    if (i < 2) found.held.push_back(a.where);
  }
  const auto history = found.attempts;
  m.attach(1, std::move(found));
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u) << "one that was in doubt at once, and one without a past";
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(50'000));
  EXPECT_EQ(m.progress(0, 1).in_doubt, 1);
  settled_prompt late;
  late.where = history[0].where;
  late.charged = nano_usd(8'000);
  late.pool = "a";
  late.lane = "m";
  m.next.of(partition_id(1)).news.settled.push_back(late);
  m.next.of(partition_id(1)).news.reopened.push_back({history[1], true});
  m.settle();
  EXPECT_EQ(m.net.open.size(), 3u);
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(108'000));
  m.end_all(m.net);
  m.settle();
  EXPECT_EQ(log.rows.size(), 3u) << "the late answer has its row already";
  EXPECT_EQ(m.progress(0, 1).answered, 4);
  EXPECT_EQ(m.progress(0, 1).in_doubt, 0);
  EXPECT_EQ(log.totals.at(0).totals.settled, m.progress(0, 1).settled);
}

TEST(fleet, a_late_answer_beside_an_open_call_makes_no_second_row) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 1);
  m.settle();
  settled_prompt late;
  late.where = position(partition_id(1), shard_id(0), 0);
  late.charged = nano_usd(8'000);
  m.next.of(partition_id(1)).news.settled.push_back(late);
  m.settle();
  m.end_all(m.net);
  m.settle();
  EXPECT_TRUE(log.rows.empty());
  EXPECT_EQ(m.progress(0, 1).answered, 1);
  EXPECT_EQ(m.progress(0, 1).settled, nano_usd(16'000));
  EXPECT_EQ(log.totals.at(0).totals.settled, nano_usd(8'000));
}

TEST(fleet, cancelled_prompts_get_rows_as_they_are_read) {
  member m;
  auto& log = m.attach(1);
  m.put_job(0, true);
  log.add(0, 7);
  log.add(1, 2);
  m.settle();
  EXPECT_EQ(m.net.open.size(), 2u) << "the other job's";
  ASSERT_EQ(log.rows.size(), 7u);
  EXPECT_NE(log.rows[0].row.find("\"cancelled\""), std::string::npos);
  EXPECT_EQ(m.progress(0, 1).condition, job_condition::cancelled);
  EXPECT_FALSE(m.e->idle(job_number(1)));
  EXPECT_TRUE(m.e->idle(job_number(0)));
  m.e->drop_job(job_number(0));
}

TEST(fleet, another_configuration_keeps_calls_in_flight) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  ASSERT_EQ(m.net.open.size(), 3u);
  hand_transport other;
  auto pools = pools_of({"b", "a"});
  ASSERT_TRUE(m.e->reconfigure(pools, {10, 10}, other, m.now));
  log.add(0, 2);
  m.settle();
  EXPECT_EQ(other.open.size(), 2u);
  EXPECT_EQ(m.net.cancels, 0) << "the old transport is told nothing";
  EXPECT_TRUE(m.e->uses(m.net));
  m.end_all(m.net);
  m.end_all(other);
  m.settle();
  EXPECT_EQ(log.rows.size(), 5u);
  EXPECT_FALSE(m.e->uses(m.net));
  EXPECT_EQ(m.e->lanes(m.now).size(), 2u);

  pools[0].api_key = secret_ref{secret_ref::source::env, "SPILLWAY_NO_SUCH_VARIABLE"};
  pools[1].name = "c";
  EXPECT_FALSE(m.e->reconfigure(pools, {10, 10}, other, m.now));
  for (const auto& lane : m.e->lanes(m.now)) EXPECT_NE(lane.pool, "c") << "nothing changed";
}

TEST(fleet, a_drain_ends_a_process_whose_sources_are_endless) {
  member m;
  auto& log = m.attach(1);
  log.add(0, 3);
  m.settle();
  m.next.drain = true;
  m.settle();
  EXPECT_FALSE(m.e->done());
  m.end_all(m.net);
  m.settle();
  EXPECT_TRUE(m.e->done());
  EXPECT_EQ(log.rows.size(), 3u);
}

TEST(fleet, a_broken_log_stops_only_its_partition) {
  member m(4);
  m.attach(1).add(0, 20);
  m.attach(2).add(0, 20);
  m.settle();
  m.next.of(partition_id(1)).broken = failure{failure_kind::storage, "fenced"};
  m.settle();
  EXPECT_EQ(m.e->failed(partition_id(1))->message, "fenced");
  EXPECT_FALSE(m.e->failed(partition_id(2)));
  m.e->drop(partition_id(1));
  for (int i = 0; i < 10; ++i) {
    m.end_all(m.net);
    m.settle();
  }
  EXPECT_EQ(m.logs[2]->rows.size(), 20u);
  EXPECT_FALSE(m.e->done());
}

}  // namespace
}  // namespace spillway::sim
