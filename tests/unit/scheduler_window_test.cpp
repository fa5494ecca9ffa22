// Bodies come and go: what is asked for, in which order, and how much memory it takes.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <set>

namespace spillway::scheduling {
namespace {

/// An input of mixed models that can be read again, and the reader's queue of requests.
class input {
 public:
  input(world& w, std::uint32_t shards, std::uint32_t a_shard, std::vector<std::string> models,
        std::uint64_t seed)
      : w_(w) {
    std::mt19937_64 random(seed);
    for (std::uint32_t s = 0; s < shards; ++s) {
      std::vector<std::pair<std::string, std::size_t>> lines;
      const auto count = 1 + random() % a_shard;
      for (std::uint32_t i = 0; i < count; ++i)
        lines.emplace_back(models[random() % models.size()], 50 + random() % 200);
      shards_.push_back(lines);
      total_ += lines.size();
    }
  }

  /// Reads the next shard for the first time, or tells the end.
  void read_next() {
    if (read_ == shards_.size()) {
      w_.next.input_read = true;
      return;
    }
    const shard_id id(read_++);
    w_.next.shards.push_back(load(id, true));
  }
  void ask(const std::vector<shard_id>& loads) {
    for (const auto id : loads) requests_.push_back(id);
  }
  /// Answers up to `n` requests, in their order.
  void answer(std::size_t n) {
    for (; n > 0 && !requests_.empty(); --n) {
      w_.next.shards.push_back(load(requests_.front(), false));
      requests_.pop_front();
      ++again_;
    }
  }
  [[nodiscard]] bool idle() const { return requests_.empty() && read_ == shards_.size(); }
  [[nodiscard]] std::size_t total() const { return total_; }
  [[nodiscard]] std::size_t again() const { return again_; }
  void done(position p) { done_.insert(p); }

 private:
  shard_loaded load(shard_id id, bool first) {
    shard_loaded s{id, first ? reading::first : reading::load, {}, {}};
    const auto& lines = shards_[id.value()];
    for (std::uint32_t i = 0; i < lines.size(); ++i) {
      const position where(id, i);
      if (!done_.contains(where))
        s.prompts.push_back(w_.prompt_at(where.value(), lines[i].first, lines[i].second));
    }
    return s;
  }

  world& w_;
  std::vector<std::vector<std::pair<std::string, std::size_t>>> shards_;
  std::deque<shard_id> requests_;
  std::set<position> done_;
  std::uint32_t read_ = 0;
  std::size_t total_ = 0, again_ = 0;
};

std::vector<std::string> model_names(std::size_t n) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < n; ++i) names.push_back("m" + std::to_string(i));
  return names;
}

struct window_case {
  const char* name;
  std::size_t models;
  std::size_t window_bytes;
  std::uint32_t a_shard;
  limits quota;
};

class scheduler_window : public testing::TestWithParam<window_case> {};

TEST_P(scheduler_window, every_prompt_is_sent_once_and_in_order_of_its_class) {
  const auto& [name, models, window_bytes, a_shard, quota] = GetParam();
  for (std::uint64_t seed = 1; seed <= 4; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<lane_setup> lanes;
    for (const auto& model : model_names(models)) lanes.push_back(lane_of("a", quota, model));
    auto s = settings();
    s.window_bytes = window_bytes;
    world w(std::move(lanes), s);
    input in(w, 60, a_shard, model_names(models), seed);

    std::set<std::uint64_t> sent;
    std::map<class_id, std::uint64_t> last;
    stop_cause stop = stop_cause::none;
    for (int i = 0; i < 200'000 && stop == stop_cause::none; ++i) {
      if (random() % 2 == 0) in.read_next();
      in.answer(random() % 3);
      for (auto n = random() % 8; n > 0 && !w.open.empty(); --n) {
        const auto it =
            std::next(w.open.begin(), static_cast<std::ptrdiff_t>(random() % w.open.size()));
        w.end(it->first, answered());
      }
      w.tick(duration(random() % 20'000'000));
      in.ask(w.loads);
      ASSERT_LE(w.actions.load.size(), 16u);
      for (const auto& f : w.actions.finishes) in.done(f.prompt.what.where);
      for (const auto& send : w.actions.sends) {
        const auto& p = send.prompt->what;
        ASSERT_TRUE(sent.insert(p.where.value()).second) << "sent twice";
        const auto [at, first] = last.try_emplace(p.cls, p.where.value());
        ASSERT_TRUE(first || at->second < p.where.value()) << "out of order";
        at->second = p.where.value();
      }
      stop = w.actions.stop;
    }
    EXPECT_EQ(stop, stop_cause::finished) << "seed " << seed;
    EXPECT_EQ(w.finished.size(), in.total()) << "seed " << seed;
    EXPECT_TRUE(in.idle());
    if (window_bytes < 100'000) {
      EXPECT_GT(in.again(), 0u);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    shapes, scheduler_window,
    testing::Values(window_case{"one_class_tiny_window", 1, 1, 40, {}},
                    window_case{"many_classes_tiny_window", 8, 1, 40, {}},
                    window_case{"many_classes_small_window", 8, 20'000, 80, {}},
                    window_case{"window_of_a_shard", 2, 4'000, 20, {}},
                    window_case{"full_shards", 3, 50'000, 512, {}},
                    window_case{"rates", 3, 5'000, 40, {.rpm = 60'000}},
                    window_case{"concurrency", 5, 3'000, 40, {.concurrency = 2}},
                    window_case{"everything_fits", 4, 10'000'000, 80, {}}),
    [](const auto& i) { return i.param.name; });

TEST(scheduler_window, asks_in_reading_order_and_within_the_window) {
  auto s = settings();
  s.window_bytes = 3'000;
  world w({lane_of("a", {.rpm = 60})}, s);
  for (std::uint32_t shard = 0; shard < 20; ++shard) w.queue(shard, 10);  // 1,000 bytes each
  w.tick();
  EXPECT_TRUE(w.loads.empty()) << "the first three fill the class's share";
  std::vector<std::uint32_t> asked;
  for (int i = 0; i < 100 && asked.size() < 5; ++i) {
    w.tick(1s);
    w.end_all(answered());
    for (const auto id : w.loads) {
      asked.push_back(id.value());
      shard_loaded again{id, reading::load, {}, {}};
      for (std::uint32_t k = 0; k < 10; ++k)
        again.prompts.push_back(w.prompt_at(id.value() * shard_prompts_max + k));
      w.next.shards.push_back(std::move(again));
    }
  }
  EXPECT_EQ(asked, (std::vector<std::uint32_t>{3, 4, 5, 6, 7}));
}

TEST(scheduler_window, a_shard_larger_than_the_window_is_loaded_alone) {
  auto s = settings();
  s.window_bytes = 10;
  world w({lane_of("a", {.concurrency = 1})}, s);
  w.queue(0, 3);
  w.queue(1, 3);
  w.queue(2, 3);
  w.tick();
  EXPECT_TRUE(w.loads.empty()) << "the first shard's bodies are here";
  std::vector<std::uint32_t> asked;
  for (int i = 0; i < 20; ++i) {
    w.end_all(answered());
    w.tick(1ms);
    for (const auto id : w.loads) {
      asked.push_back(id.value());
      w.next.shards.push_back({id, reading::load, {}, {}});
      for (std::uint32_t k = 0; k < 3; ++k)
        w.next.shards.back().prompts.push_back(w.prompt_at(id.value() * shard_prompts_max + k));
    }
  }
  EXPECT_EQ(asked, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(w.finished.size(), 9u);
}

TEST(scheduler_window, a_drain_asks_for_nothing) {
  auto s = settings();
  s.window_bytes = 1;
  world w({lane_of("a", {.concurrency = 1})}, s);
  for (std::uint32_t shard = 0; shard < 5; ++shard) w.queue(shard, 3);
  w.tick();
  w.next.drain = true;
  w.end_all(answered());
  EXPECT_TRUE(w.tick(1ms).load.empty());
  EXPECT_EQ(w.actions.stop, stop_cause::drained);
}

TEST(scheduler_window_death, a_shard_that_lost_prompts_is_a_bug) {
  auto s = settings();
  s.window_bytes = 1;
  world w({lane_of("a")}, s);
  w.queue(0, 3);
  w.queue(1, 3);
  w.tick();
  ASSERT_EQ(w.loads, (std::vector{shard_id(1)}));
  w.next.shards.push_back({shard_id(1), reading::load, {}, {}});
  w.next.shards.back().prompts.push_back(w.prompt_at(shard_prompts_max + 2));
  EXPECT_DEATH(w.tick(1ms), "lacks prompts");
}

}  // namespace
}  // namespace spillway::scheduling
