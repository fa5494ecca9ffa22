// The same events give the same actions, whoever does the work of the stripes.
#include "tests/unit/scheduler_harness.hpp"

#include "orchestrator/runtime/stripes_parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <random>

namespace spillway::scheduling {
namespace {

class parallel_stripes final : public stripe_runner {
 public:
  explicit parallel_stripes(unsigned threads) : runner_(threads) {}
  void for_each_stripe(std::size_t, const std::function<void(std::size_t)>& work) override {
    runner_.for_each(stripe_count, work);
  }

 private:
  parallel_runner runner_;
};

/// Stripes in another order on one thread.
class backward_stripes final : public stripe_runner {
 public:
  void for_each_stripe(std::size_t, const std::function<void(std::size_t)>& work) override {
    for (std::size_t s = stripe_count; s-- > 0;) work(s);
  }
};

void print(std::string& out, const attempt_record& r) {
  for (const auto n :
       {static_cast<std::int64_t>(r.where.value()), std::int64_t{r.in_flight},
        std::int64_t{r.sends}, std::int64_t{r.attempts}, std::int64_t{r.maybe_billed},
        r.charged.count(), r.reserved.count(), r.at.time_since_epoch().count()})
    out += std::to_string(n) + ",";
  out += r.pool + r.lane + ";";
}

std::string print(const scheduler& s, const tick_actions& a, time_point now) {
  std::string out;
  for (const auto& send : a.sends) {
    out += "send " + std::to_string(send.call.value()) + " ";
    print(out, s.record_of(*send.prompt, now));
  }
  for (const auto& f : a.finishes)
    out += "finish " + std::to_string(f.prompt.what.where.value()) + " " +
           std::to_string(static_cast<int>(f.outcome.kind)) + f.outcome.error_code + " " +
           std::to_string(f.cost.count()) + " " + std::to_string(f.prompt.sends) + ";";
  for (const auto& r : a.ended) {
    out += "ended ";
    print(out, r);
  }
  for (const auto& load : a.load) out += "load " + std::to_string(load.shard.value()) + ";";
  out += "stop " + std::to_string(static_cast<int>(a.stop)) + " wake " +
         std::to_string(a.wake.time_since_epoch().count()) + "\n";
  return out;
}

outcome any_outcome(std::mt19937_64& random) {
  switch (random() % 24) {
    case 0: return random() % 50 == 0 ? refused(duration(random() % 300'000'000)) : failed();
    case 1: return failed();
    case 2: return timed_out();
    case 3: return random() % 4 == 0 ? rejected() : answered(25, 10);
    case 4: return random() % 4 == 0 ? unfit() : answered(25, 10);
    case 5: return never_sent();
    case 6: return random() % 500 == 0 ? lane_down(down_cause::auth) : answered(25, 10);
    default:
      return answered(static_cast<std::int64_t>(1 + random() % 40),
                      static_cast<std::int64_t>(random() % 10));
  }
}

/// Everything the scheduler says in a busy run of its own making.
std::vector<std::string> stream_of(stripe_runner& stripes, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  job_config job;
  job.max_attempts = 4;
  job.budget = nano_usd(2'000'000'000);
  auto s = settings(job);
  s.window_bytes = 30'000;
  s.seed = seed;
  world w({priced(lane_of("a", {.rpm = 600'000, .tpm = 3'000'000}), 2'000'000),
           priced(lane_of("b", {.concurrency = 300}), 3'000'000), lane_of("c", {.rpm = 300'000}),
           priced(lane_of("a", {.rpm = 120'000}, "n"), 1'000'000), lane_of("c", {}, "n")},
          s);
  std::vector<std::string> said;
  std::vector<std::vector<prompt>> shards;
  for (int tick = 0; tick < 400; ++tick) {
    if (tick % 4 == 0 && shards.size() < 60) {
      shards.emplace_back();
      const shard_id id(static_cast<std::uint32_t>(shards.size() - 1));
      for (std::uint32_t i = 0; i < 300; ++i)
        shards.back().push_back(
            w.prompt_at(position(id, i).value(), random() % 3 == 0 ? "n" : "m"));
      w.next.shards.push_back({id, reading::first, shards.back(), {}});
    }
    for (const auto id : w.loads)
      w.next.shards.push_back({id, reading::load, shards[id.value()], {}});
    std::vector<call_id> calls;
    for (const auto& [id, what] : w.open) calls.push_back(id);
    std::shuffle(calls.begin(), calls.end(), random);
    calls.resize(calls.size() * (random() % 4) / 3);
    for (const auto id : calls) w.end(id, any_outcome(random));
    w.next.input_read = shards.size() == 60;
    w.now += duration(1'000'000 + random() % 9'000'000);
    w.actions = w.sched.tick(w.now, std::move(w.next), stripes);
    w.next = {};
    w.loads.clear();
    for (const auto& load : w.actions.load) w.loads.push_back(load.shard);
    for (const auto& send : w.actions.sends)
      w.open[send.call] = {send.prompt->what.where, send.prompt->lane, send.prompt->sends};
    said.push_back(print(w.sched, w.actions, w.now));
  }
  EXPECT_GT(w.totals(0).answered + w.totals(1).answered + w.totals(2).answered, 1'000);
  return said;
}

TEST(scheduler_stripes, any_number_of_threads_says_the_same) {
  for (std::uint64_t seed = 1; seed <= 2; ++seed) {
    serial_stripes serial;
    const auto expected = stream_of(serial, seed);
    for (const unsigned threads : {1u, 4u}) {
      parallel_stripes parallel(threads);
      const auto said = stream_of(parallel, seed);
      ASSERT_EQ(said.size(), expected.size());
      for (std::size_t i = 0; i < said.size(); ++i)
        ASSERT_EQ(said[i], expected[i]) << threads << " threads, seed " << seed << ", tick " << i;
    }
    backward_stripes backward;
    EXPECT_EQ(stream_of(backward, seed), expected);
  }
}

TEST(scheduler_stripes, another_seed_says_something_else) {
  serial_stripes serial;
  EXPECT_NE(stream_of(serial, 1), stream_of(serial, 2));
}

TEST(scheduler_stripes, the_order_of_events_within_a_tick_does_not_matter) {
  const auto run = [](bool backward) {
    world w({priced(lane_of("a"), 1'000), lane_of("b", {.rpm = 60'000})});
    w.queue(0, 200);
    w.tick();
    std::vector<call_ended> calls;
    std::uint64_t n = 0;
    for (const auto& [id, what] : w.open)
      calls.push_back({what.where, id, n++ % 3 == 0 ? failed() : answered(10, 3), start, w.now});
    if (backward) std::reverse(calls.begin(), calls.end());
    w.next.calls = std::move(calls);
    w.tick(1ms);
    return print(w.sched, w.actions, w.now);
  };
  EXPECT_EQ(run(false), run(true));
}

TEST(parallel_runner, calls_each_index_once) {
  for (const unsigned threads : {0u, 1u, 2u, 4u}) {
    parallel_runner runner(threads);
    EXPECT_GE(runner.threads(), 1u);
    for (const std::size_t count : {0u, 1u, 16u, 1'000u}) {
      std::vector<std::atomic<int>> calls(count);
      runner.for_each(count, [&](std::size_t i) { ++calls[i]; });
      for (const auto& c : calls) ASSERT_EQ(c.load(), 1);
    }
  }
}

}  // namespace
}  // namespace spillway::scheduling
