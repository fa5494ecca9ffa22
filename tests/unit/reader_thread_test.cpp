#include "orchestrator/engine/reader_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>

namespace spillway {
namespace {

using namespace std::chrono_literals;

std::string line_of(const std::string& id) {
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"model":"m","messages":[]}})"
         "\n";
}

/// A source that gets its shards from the test.
class fed_source final : public shard_source {
 public:
  explicit fed_source(partition_id id, bool endless = true) : id_(id), endless_(endless) {}
  void add(const std::string& lines, std::uint32_t job = 0, bool checked = false) {
    const std::lock_guard lock(mutex_);
    shard_data s;
    s.bytes = lines;
    s.size = lines.size();
    s.bytes.append(read_padding, '\0');
    s.where.id = shard_id(static_cast<std::uint32_t>(shards_.size()));
    s.where.partition = id_;
    s.where.job = job_number(job);
    s.where.first_line = 1;
    s.where.ids_checked = checked;
    shards_.push_back(std::move(s));
  }
  result<std::optional<shard_data>> read_next() override {
    const std::lock_guard lock(mutex_);
    ++looks;
    if (next_ == shards_.size()) return std::optional<shard_data>{};
    return std::optional<shard_data>(shards_[next_++]);
  }
  result<shard_data> read(const shard_descriptor& where) override {
    const std::lock_guard lock(mutex_);
    return shards_.at(where.id.value());
  }
  bool endless() const override { return endless_; }

  std::atomic<int> looks = 0;

 private:
  std::mutex mutex_;
  std::vector<shard_data> shards_;
  std::size_t next_ = 0;
  partition_id id_;
  bool endless_;
};

class reading_partitions : public testing::Test {
 protected:
  void add(fed_source& source, std::uint32_t id) {
    reader_.add(partition_id(id), std::make_unique<intake>(
                                      source,
                                      [](job_number) -> class_lookup {
                                        return [](auto&&...) { return class_choice{class_id(0)}; };
                                      },
                                      runner_, 1'000, std::span<const recovered_shard>{}));
  }
  /// The next shard of a partition; others' are kept for later.
  parsed_shard shard_of(std::uint32_t id) {
    for (auto& kept = shards_[id];;) {
      if (!kept.empty()) {
        auto shard = std::move(kept.front());
        kept.pop_front();
        return shard;
      }
      auto events = inbox_.take(30s);
      EXPECT_FALSE(events.empty()) << "nothing was read";
      if (events.empty()) return {};
      for (auto& p : events.partitions)
        for (auto& s : p.shards) shards_[p.partition.value()].push_back(std::move(s));
    }
  }

  parallel_runner runner_{1};
  inbox inbox_;
  reader_thread reader_{inbox_};
  std::map<std::uint32_t, std::deque<parsed_shard>> shards_;
};

TEST_F(reading_partitions, an_endless_source_is_asked_again_when_it_wakes_and_not_before) {
  fed_source dry(partition_id(1)), other(partition_id(2));
  add(dry, 1);
  add(other, 2);
  reader_.read_next(partition_id(1));
  // Served in turn: once the other's shards are here, the first was looked at.
  for (int i = 0; i < 20; ++i) {
    other.add(line_of("o" + std::to_string(i)));
    reader_.read_next(partition_id(2));
    (void)shard_of(2);
  }
  EXPECT_EQ(dry.looks, 1) << "no busy looking";
  dry.add(line_of("a"));
  reader_.wake(partition_id(1));
  EXPECT_EQ(shard_of(1).prompts.size(), 1u);
  EXPECT_EQ(dry.looks, 2);
  reader_.stop();
}

TEST_F(reading_partitions, ids_are_unique_within_a_job_unless_they_were_checked) {
  fed_source source(partition_id(1));
  source.add(line_of("a"), 1);
  source.add(line_of("a"), 2);
  source.add(line_of("a"), 1);
  source.add(line_of("a"), 1, true);
  add(source, 1);
  for (int i = 0; i < 4; ++i) reader_.read_next(partition_id(1));
  EXPECT_EQ(shard_of(1).prompts.size(), 1u);
  const auto second = shard_of(1);
  ASSERT_EQ(second.prompts.size(), 1u) << "another job's";
  EXPECT_EQ(second.prompts[0].job, job_number(2));
  EXPECT_EQ(second.prompts[0].where, position(partition_id(1), shard_id(1), 0));
  const auto third = shard_of(1);
  ASSERT_EQ(third.invalid.size(), 1u);
  EXPECT_EQ(third.invalid[0].code, "duplicate_custom_id");
  EXPECT_EQ(shard_of(1).prompts.size(), 1u);
  reader_.forget_job(job_number(1));
  source.add(line_of("a"), 1);
  reader_.read_next(partition_id(1));
  EXPECT_EQ(shard_of(1).prompts.size(), 1u) << "its ids were let go";
  reader_.stop();
}

TEST_F(reading_partitions, a_removed_partition_is_not_touched_any_more) {
  auto gone = std::make_unique<fed_source>(partition_id(1));
  fed_source stays(partition_id(2), false);
  stays.add(line_of("a"));
  add(*gone, 1);
  add(stays, 2);
  reader_.read_next(partition_id(1));
  reader_.remove(partition_id(1));
  gone.reset();
  reader_.wake(partition_id(1));
  reader_.read_next(partition_id(1));
  reader_.read_next(partition_id(2));
  EXPECT_EQ(shard_of(2).prompts.size(), 1u);
  reader_.read_next(partition_id(2));
  auto events = inbox_.take(30s);
  EXPECT_TRUE(events.of(partition_id(2)).input_end);
  reader_.stop();
}

}  // namespace
}  // namespace spillway
