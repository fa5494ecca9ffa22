// What the engine relies on in a log, asked of the simulation's log and of the real one alike: a
// simulation is worth something only if its log behaves like the one that users get.
#include "connectors/files/file_log.hpp"
#include "connectors/jsonl.hpp"
#include "tests/sim/fake_log.hpp"
#include "tests/support/temp_folder.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

namespace spillway::sim {
namespace {

const std::vector<std::string> input_lines{"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"};

/// A log that can be let go of and taken over again.
class log_under_test {
 public:
  virtual ~log_under_test() = default;
  virtual partition_log& open() = 0;
  /// Appends and waits until it is durable.
  virtual void commit(commit_seq, commit_group) = 0;
  virtual void let_go() = 0;
};

class simulated_log final : public log_under_test {
 public:
  partition_log& open() override { return session_.emplace(log_); }
  void commit(commit_seq seq, commit_group group) override {
    session_->append(seq, std::move(group));
    ASSERT_EQ(log_.sync(), seq);
  }
  void let_go() override { session_.reset(); }

 private:
  fake_log log_{input_lines, 512};
  std::optional<fake_log::session> session_;
};

class real_log final : public log_under_test {
 public:
  real_log() {
    for (const auto& line : input_lines) folder_.append("in.jsonl", line + "\n");
  }
  partition_log& open() override {
    durable_ = commit_seq(0);
    file_log_options options;
    options.inputs = {folder_ / "in.jsonl"};
    options.output = folder_ / "out.jsonl";
    options.errors = folder_ / "out.errors.jsonl";
    options.state = folder_ / "out.state";
    options.job = "job";
    log_ = make_file_log(options, [this](result<commit_seq> seq) {
      const std::lock_guard lock(mutex_);
      durable_ = *seq;
      changed_.notify_all();
    });
    return *log_;
  }
  void commit(commit_seq seq, commit_group group) override {
    log_->append(seq, std::move(group));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return durable_ == seq; });
  }
  void let_go() override {
    ASSERT_TRUE(log_->close());
    log_.reset();
  }

 private:
  temp_folder folder_;
  std::unique_ptr<partition_log> log_;
  std::mutex mutex_;
  std::condition_variable changed_;
  commit_seq durable_;
};

template <class Log>
class log_contract : public testing::Test {
 protected:
  /// Takes over a fresh log and records its only shard with an intent for each prompt.
  void begin() {
    auto& log = log_.open();
    ASSERT_TRUE(log.take_over());
    auto shard = *log.read_next();
    ASSERT_TRUE(shard.has_value());
    commit_group group;
    group.shards.push_back({shard->where, {11, 12, 13}});
    for (std::uint32_t i = 0; i < 3; ++i) group.attempts.push_back(intent(i, 1));
    group.totals.push_back({job_number(0), {"pool", "lane", "model", {}}});
    group.totals[0].lane.totals.calls = 3;
    log_.commit(commit_seq(1), std::move(group));
  }
  static attempt_record intent(std::uint32_t index, std::uint32_t sends) {
    attempt_record a;
    a.where = position(shard_id(0), index);
    a.line = index + 1;
    a.in_flight = true;
    a.pool = "pool";
    a.lane = "lane";
    a.sends = sends;
    a.reserved = nano_usd(7);
    return a;
  }
  recovered_log take_over_again() {
    log_.let_go();
    return *log_.open().take_over();
  }
  Log log_;
};

using both_logs = testing::Types<simulated_log, real_log>;
TYPED_TEST_SUITE(log_contract, both_logs);

TYPED_TEST(log_contract, a_fresh_log_is_empty_and_yields_every_line_once) {
  auto& log = this->log_.open();
  const auto recovered = *log.take_over();
  EXPECT_TRUE(recovered.shards.empty());
  EXPECT_TRUE(recovered.attempts.empty());
  std::vector<std::string> seen;
  for (auto shard = *log.read_next(); shard; shard = *log.read_next())
    for (const auto& line : split_lines({shard->bytes.data(), shard->size}, 1))
      seen.push_back(shard->bytes.substr(line.offset, line.length));
  EXPECT_EQ(seen, input_lines);
}

TYPED_TEST(log_contract, what_was_durable_is_there_after_a_take_over) {
  this->begin();
  const auto log = this->take_over_again();
  ASSERT_EQ(log.shards.size(), 1u);
  EXPECT_EQ(log.shards[0].where.count, 3u);
  EXPECT_EQ(log.shards[0].id_hashes, (std::vector<std::uint64_t>{11, 12, 13}));
  ASSERT_EQ(log.attempts.size(), 3u);
  EXPECT_TRUE(log.attempts[1].in_flight);
  EXPECT_EQ(log.attempts[1].line, 2u);
  EXPECT_EQ(log.attempts[1].reserved, nano_usd(7));
  ASSERT_EQ(log.totals.size(), 1u);
  EXPECT_EQ(log.totals[0].lane.totals.calls, 3);
}

TYPED_TEST(log_contract, reading_goes_on_behind_recorded_shards) {
  this->begin();
  this->log_.let_go();
  auto& log = this->log_.open();
  const auto recovered = *log.take_over();
  EXPECT_FALSE((*log.read_next()).has_value());
  const auto again = *log.read(recovered.shards[0].where);
  EXPECT_EQ(again.bytes.substr(0, again.size), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
}

TYPED_TEST(log_contract, a_finished_prompt_is_done_and_has_no_attempt_left) {
  this->begin();
  commit_group group;
  group.finished.push_back({position(shard_id(0), 1), row_kind::answered, "{\"row\":1}\n"});
  group.finished.push_back({position(shard_id(0), 2), row_kind::invalid, "{\"row\":2}\n"});
  this->log_.commit(commit_seq(2), std::move(group));
  const auto log = this->take_over_again();
  EXPECT_FALSE(log.shards[0].done.test(0));
  EXPECT_TRUE(log.shards[0].done.test(1));
  EXPECT_TRUE(log.shards[0].done.test(2));
  ASSERT_EQ(log.attempts.size(), 1u);
  EXPECT_EQ(log.attempts[0].where.index(), 0u);
  EXPECT_EQ(log.answered, 1);
  EXPECT_EQ(log.errors, 1);
  EXPECT_EQ(log.invalid, 1);
}

TYPED_TEST(log_contract, the_last_attempt_counts_also_within_one_group) {
  this->begin();
  commit_group group;
  auto ended = this->intent(0, 1);
  ended.in_flight = false;
  group.attempts = {ended, this->intent(0, 2)};
  this->log_.commit(commit_seq(2), std::move(group));
  const auto log = this->take_over_again();
  ASSERT_EQ(log.attempts.size(), 3u);
  for (const auto& a : log.attempts) EXPECT_EQ(a.sends, a.where.index() == 0 ? 2u : 1u);
}

TYPED_TEST(log_contract, an_intent_and_its_result_may_share_a_group) {
  this->begin();
  commit_group group;
  group.attempts = {this->intent(0, 2)};
  group.finished.push_back({position(shard_id(0), 0), row_kind::failed, "{\"row\":1}\n"});
  this->log_.commit(commit_seq(2), std::move(group));
  const auto log = this->take_over_again();
  EXPECT_TRUE(log.shards[0].done.test(0));
  EXPECT_EQ(log.attempts.size(), 2u);
}

}  // namespace
}  // namespace spillway::sim
