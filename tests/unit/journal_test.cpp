#include "connectors/files/journal.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace spillway {
namespace {

attempt_record attempt(std::uint32_t where, std::uint32_t sends) {
  attempt_record r;
  r.where = position::from_value(where);
  r.sends = sends;
  r.in_flight = sends % 2 == 1;
  return r;
}

using numbers = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

numbers open_of(const journal& j) {
  numbers out;
  for (const auto& r : j.open()) out.emplace_back(r.where.value(), r.sends);
  return out;
}

/// The store as it is after a commit, and what recovery makes of it.
class store {
 public:
  void apply(const journal::step& s) {
    if (!s.write.empty()) {
      EXPECT_FALSE(groups_.contains(s.sequence)) << "a group is written once";
      if (!groups_.empty()) {
        EXPECT_GT(s.sequence, groups_.rbegin()->first);
      }
      groups_[s.sequence] = s.write;
    }
    for (const auto gone : s.remove) EXPECT_EQ(groups_.erase(gone), 1u) << "group " << gone;
  }
  [[nodiscard]] journal recovered(const std::map<std::uint32_t, bool>& done) const {
    journal j;
    for (const auto& [sequence, group] : groups_) {
      auto open = group;
      std::erase_if(open, [&](const attempt_record& a) { return done.contains(a.where.value()); });
      j.restore(sequence, open);
    }
    return j;
  }
  [[nodiscard]] std::size_t size() const { return groups_.size(); }
  [[nodiscard]] std::uint64_t oldest() const { return groups_.begin()->first; }

 private:
  std::map<std::uint64_t, std::vector<attempt_record>> groups_;
};

TEST(journal, keeps_the_last_record_of_each_prompt) {
  journal j;
  const auto first = j.commit({attempt(1, 1), attempt(2, 1), attempt(1, 2)}, {});
  EXPECT_EQ(first.write.size(), 2u) << "replaced within the commit";
  EXPECT_EQ(open_of(j), (numbers{{1, 2}, {2, 1}}));
  const auto second = j.commit({attempt(1, 3)}, {});
  EXPECT_TRUE(second.remove.empty()) << "prompt 2 still needs the first group";
  EXPECT_GT(second.sequence, first.sequence);
  const position two[] = {position::from_value(2)};
  const auto third = j.commit({}, two);
  EXPECT_TRUE(third.write.empty());
  EXPECT_EQ(third.remove, (std::vector{first.sequence}));
  EXPECT_EQ(open_of(j), (numbers{{1, 3}}));
}

TEST(journal, a_prompt_finished_with_its_own_commit_leaves_nothing) {
  journal j;
  const position one[] = {position::from_value(1)};
  const auto s = j.commit({attempt(1, 1)}, one);
  EXPECT_TRUE(s.write.empty());
  EXPECT_TRUE(s.remove.empty());
  EXPECT_TRUE(j.open().empty());
}

TEST(journal, restored_groups_that_say_nothing_are_removed_at_the_next_commit) {
  journal j;
  j.restore(3, {});
  const attempt_record left[] = {attempt(7, 1)};
  j.restore(5, left);
  j.restore(6, left);
  const auto s = j.commit({attempt(8, 1)}, {});
  EXPECT_EQ(s.sequence, 7u);
  EXPECT_EQ(std::set<std::uint64_t>(s.remove.begin(), s.remove.end()),
            (std::set<std::uint64_t>{3, 5}));
}

TEST(journal, an_old_group_is_carried_over_before_the_journal_grows_long) {
  journal j;
  store disk;
  disk.apply(j.commit({attempt(0, 1)}, {}));
  std::size_t most = 0;
  for (std::uint32_t i = 1; i < 20'000; ++i) {
    disk.apply(j.commit({attempt(1 + i % 100, i)}, {}));
    most = std::max(most, disk.size());
    if (i % 499 != 0) continue;
    ASSERT_EQ(open_of(disk.recovered({})), open_of(j)) << i;
  }
  EXPECT_LE(most, 102u);
  EXPECT_GT(disk.oldest(), 10'000u) << "the first prompt's record moved on";
}

TEST(journal, one_prompt_that_waits_for_long_does_not_keep_thousands_of_groups) {
  journal j;
  store disk;
  disk.apply(j.commit({attempt(0, 1)}, {}));
  for (std::uint32_t i = 1; i < 15'000; ++i) {
    disk.apply(j.commit({attempt(i, 1)}, {}));
    const position done[] = {position::from_value(i)};
    if (i % 2 == 0) disk.apply(j.commit({}, done));
  }
  // Half of the prompts stay open: each group with an open prompt may live, up to the bound.
  EXPECT_LE(disk.size(), 4'096u + 2'100u);
  std::map<std::uint32_t, bool> done;
  for (std::uint32_t i = 2; i < 15'000; i += 2) done[i] = true;
  EXPECT_EQ(open_of(disk.recovered(done)), open_of(j));
}

TEST(journal, what_a_restart_finds_is_what_was_committed) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 random(seed);
    journal j;
    store disk;
    std::map<std::uint32_t, std::uint32_t> model;  // open prompts and their sends
    std::map<std::uint32_t, bool> done;
    std::uint32_t sends = 0;
    for (int i = 0; i < 1'000; ++i) {
      std::vector<attempt_record> attempts;
      std::vector<position> finished;
      for (auto n = random() % 6; n > 0; --n) {
        const auto where = static_cast<std::uint32_t>(random() % 400);
        if (done.contains(where)) continue;
        attempts.push_back(attempt(where, ++sends));
        model[where] = sends;
      }
      for (auto n = random() % 3; n > 0 && !model.empty(); --n) {
        const auto it =
            std::next(model.begin(), static_cast<std::ptrdiff_t>(random() % model.size()));
        if (random() % 4 != 0) continue;
        finished.push_back(position::from_value(it->first));
        done[it->first] = true;
        model.erase(it);
      }
      disk.apply(j.commit(std::move(attempts), finished));
      const numbers expected(model.begin(), model.end());
      ASSERT_EQ(open_of(j), expected) << "seed " << seed << " commit " << i;
      if (i % 8 != 0) continue;
      ASSERT_EQ(open_of(disk.recovered(done)), expected) << "seed " << seed << " commit " << i;
      if (random() % 6 == 0) j = disk.recovered(done);  // a kill
    }
    ASSERT_LE(disk.size(), 402u) << "no group without an open prompt stays for long";
  }
}

}  // namespace
}  // namespace spillway
