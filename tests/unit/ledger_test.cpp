#include "orchestrator/core/ledger.hpp"
#include "orchestrator/core/id_index.hpp"

#include <gtest/gtest.h>

#include <random>
#include <unordered_map>

namespace spillway {
namespace {

std::vector<std::uint32_t> all_with(const id_index& index, std::uint64_t hash) {
  std::vector<std::uint32_t> found;
  EXPECT_FALSE(index.find(hash, [&](position p) {
    found.push_back(p.local());
    return false;
  }));
  std::sort(found.begin(), found.end());
  return found;
}

TEST(id_index, is_empty_at_first) {
  const id_index index;
  EXPECT_TRUE(all_with(index, 1).empty());
  EXPECT_EQ(index.bytes(), 0u);
}

TEST(id_index, finds_every_entry_among_a_hundred_thousand) {
  std::mt19937_64 random(3);
  id_index index;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> model;
  std::vector<std::uint64_t> used;
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    // Every tenth repeats a hash; others differ only in a few of the high or the low bits.
    std::uint64_t hash = random();
    if (i % 10 == 9)
      hash = used[random() % used.size()];
    else if (i % 10 == 8)
      hash = used.back() ^ (std::uint64_t{1} << (random() % 64));
    used.push_back(hash);
    index.insert(hash, position::from_value(i));
    model[hash].push_back(i);
  }
  for (const auto& [hash, where] : model) ASSERT_EQ(all_with(index, hash), where);
  for (int i = 0; i < 20'000; ++i) {
    const auto hash = random();
    if (model.contains(hash)) continue;
    ASSERT_TRUE(all_with(index, hash).empty());
  }
}

TEST(id_index, stops_at_the_first_candidate_accepted) {
  id_index index;
  for (std::uint32_t i = 0; i < 50; ++i) index.insert(77, position::from_value(i));
  int asked = 0;
  EXPECT_TRUE(index.find(77, [&](position p) {
    ++asked;
    return p == position::from_value(3);
  }));
  EXPECT_LE(asked, 50);
  EXPECT_EQ(all_with(index, 77).size(), 50u);
}

TEST(id_index, takes_little_more_than_twelve_bytes_an_entry) {
  std::mt19937_64 random(4);
  id_index index;
  constexpr std::size_t count = 1'000'000;
  for (std::uint32_t i = 0; i < count; ++i) index.insert(random(), position::from_value(i));
  EXPECT_GE(index.bytes(), count * 12);
  EXPECT_LE(index.bytes(), count * 19);
}

shard_descriptor shard(std::uint32_t id, std::uint32_t count) {
  shard_descriptor d;
  d.id = shard_id(id);
  d.count = count;
  return d;
}

TEST(ledger, knows_what_is_done) {
  ledger l;
  EXPECT_FALSE(l.knows(shard_id(0)));
  shard_bits done;
  done.set(1);
  l.add(shard(0, 3), done);
  l.add(shard(1, 512));
  l.add(shard(2, 1));
  EXPECT_TRUE(l.knows(shard_id(2)));
  EXPECT_EQ(l.prompts(), 516);
  EXPECT_EQ(l.finished(), 1);
  EXPECT_TRUE(l.done(position(shard_id(0), 1)));
  EXPECT_FALSE(l.done(position(shard_id(0), 2)));

  l.finish(position(shard_id(0), 0));
  EXPECT_FALSE(l.complete(shard_id(0)));
  l.finish(position(shard_id(0), 2));
  EXPECT_TRUE(l.complete(shard_id(0)));
  EXPECT_EQ(l.unfinished(), (std::vector{shard_id(1), shard_id(2)}));
  l.finish(position(shard_id(2), 0));
  l.finish(position(shard_id(1), 511));
  EXPECT_EQ(l.unfinished(), (std::vector{shard_id(1)}));
  EXPECT_EQ(l.finished(), 5);
}

TEST(ledger, forgets_its_finished_prefix_and_nothing_else) {
  ledger l;
  for (std::uint32_t i = 0; i < 4; ++i) l.add(shard(i, 1));
  for (const std::uint32_t i : {0u, 1u, 3u}) l.finish(position(shard_id(i), 0));
  l.forget_before(shard_id(1));
  EXPECT_TRUE(l.forgotten(shard_id(0)));
  EXPECT_FALSE(l.forgotten(shard_id(1)));
  l.forget_before(shard_id(4));
  EXPECT_TRUE(l.forgotten(shard_id(1)));
  EXPECT_FALSE(l.forgotten(shard_id(2))) << "it has prompts left";
  EXPECT_TRUE(l.done(position(shard_id(0), 0)));
  EXPECT_TRUE(l.complete(shard_id(0)));
  EXPECT_TRUE(l.knows(shard_id(3)));
  EXPECT_FALSE(l.done(position(shard_id(2), 0)));
  EXPECT_EQ(l.unfinished(), (std::vector{shard_id(2)}));
  l.finish(position(shard_id(2), 0));
  l.forget_before(shard_id(4));
  l.add(shard(4, 7));
  EXPECT_EQ(l.at(shard_id(4)).count, 7u);
  EXPECT_EQ(l.prompts(), 11);
  EXPECT_EQ(l.finished(), 4);
}

TEST(ledger, a_reopened_prompt_is_finished_once_more) {
  ledger l;
  l.add(shard(0, 2));
  l.finish(position(shard_id(0), 1));
  l.reopen(position(shard_id(0), 1));
  l.reopen(position(shard_id(0), 0));
  EXPECT_EQ(l.finished(), 0);
  EXPECT_FALSE(l.done(position(shard_id(0), 1)));
  l.finish(position(shard_id(0), 1));
  EXPECT_EQ(l.finished(), 1);
}

TEST(position, keeps_partition_shard_and_index_apart) {
  const position p(partition_id(63), shard_id(shard_count_max - 1), 511);
  EXPECT_EQ(p.partition(), partition_id(63));
  EXPECT_EQ(p.shard(), shard_id(shard_count_max - 1));
  EXPECT_EQ(p.index(), 511u);
  EXPECT_EQ(p.local(), UINT32_MAX);
  EXPECT_EQ(position::from_value(p.value()), p);
  EXPECT_LT(position(partition_id(0), shard_id(9), 0), position(partition_id(1), shard_id(0), 0));
  EXPECT_EQ(position(shard_id(3), 7), position(partition_id(0), shard_id(3), 7));
}

TEST(ledger_death, a_prompt_is_finished_once_and_only_where_there_is_one) {
  ledger l;
  l.add(shard(0, 3));
  l.finish(position(shard_id(0), 1));
  EXPECT_DEATH(l.finish(position(shard_id(0), 1)), "twice");
  EXPECT_DEATH(l.finish(position(shard_id(0), 3)), "outside");
  EXPECT_DEATH(l.add(shard(2, 3)), "order");
}

TEST(shard_bits, survive_their_bytes) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    shard_bits bits;
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < shard_prompts_max; ++i)
      if (random() % static_cast<std::uint64_t>(round + 1) == 0) {
        bits.set(i);
        ++count;
      }
    const auto bytes = bits.bytes();
    EXPECT_LE(bytes.size(), shard_prompts_max / 8);
    const auto back = shard_bits::from_bytes(bytes);
    EXPECT_EQ(back.count(), count);
    for (std::uint32_t i = 0; i < shard_prompts_max; ++i) ASSERT_EQ(back.test(i), bits.test(i));
  }
  EXPECT_EQ(shard_bits{}.bytes(), "");
}

attempt_record attempt(std::uint32_t where, bool in_flight, std::int64_t reserved,
                       const std::string& lane = "a") {
  attempt_record r;
  r.where = position::from_value(where);
  r.in_flight = in_flight;
  r.pool = "p";
  r.lane = lane;
  r.sends = 2;
  r.attempts = 1;
  r.maybe_billed = 1;
  r.charged = nano_usd(5);
  r.reserved = nano_usd(reserved);
  return r;
}

TEST(end_open_sends, charges_every_open_send_its_worst_case) {
  std::vector records{attempt(0, true, 100), attempt(1, false, 0), attempt(2, true, 30, "b"),
                      attempt(3, true, 7)};
  std::vector<job_totals> totals{
      {{}, {"p", "a", "m", {}}}, {{}, {"q", "a", "m", {}}}, {{}, {"p", "b", "m", {}}}};
  totals[0].lane.totals.settled = totals[0].lane.totals.day_spend = nano_usd(1'000);
  totals[0].lane.totals.maybe_billed = 4;

  const auto changed = end_open_sends(records, totals);

  ASSERT_EQ(changed.size(), 3u);
  for (const auto& r : changed) {
    EXPECT_FALSE(r.in_flight);
    EXPECT_EQ(r.maybe_billed, 2u);
    EXPECT_EQ(r.reserved, nano_usd{});
    EXPECT_EQ(r.sends, 2u) << "it was sent";
    EXPECT_EQ(r.attempts, 1u) << "a kill of ours is no failure of theirs";
  }
  EXPECT_EQ(changed[0].charged, nano_usd(105));
  EXPECT_EQ(records[0].charged, nano_usd(105)) << "the history says the same";
  EXPECT_EQ(records[1].charged, nano_usd(5));
  EXPECT_EQ(records[1].maybe_billed, 1u);
  EXPECT_EQ(totals[0].lane.totals.settled, nano_usd(1'107));
  EXPECT_EQ(totals[0].lane.totals.day_spend, nano_usd(1'107));
  EXPECT_EQ(totals[0].lane.totals.maybe_billed, 6);
  EXPECT_EQ(totals[1].lane.totals.settled, nano_usd{}) << "the other pool's lane of that name";
  EXPECT_EQ(totals[2].lane.totals.settled, nano_usd(30));

  EXPECT_TRUE(end_open_sends(records, totals).empty()) << "once";
}

TEST(end_open_sends, spares_what_a_former_owner_may_still_answer) {
  std::vector records{attempt(0, true, 100), attempt(1, true, 30)};
  std::vector<job_totals> totals{{{}, {"p", "a", "m", {}}}};
  const std::vector held{records[0].where};
  const auto changed = end_open_sends(records, totals, held);
  ASSERT_EQ(changed.size(), 1u);
  EXPECT_EQ(changed[0].where, records[1].where);
  EXPECT_TRUE(records[0].in_flight);
  EXPECT_EQ(totals[0].lane.totals.settled, nano_usd(30));
}

TEST(end_open_sends, charges_the_job_whose_send_it_was) {
  std::vector records{attempt(0, true, 100)};
  records[0].job = job_number(2);
  std::vector<job_totals> totals{{job_number(1), {"p", "a", "m", {}}},
                                 {job_number(2), {"p", "a", "m", {}}}};
  (void)end_open_sends(records, totals);
  EXPECT_EQ(totals[0].lane.totals.settled, nano_usd{});
  EXPECT_EQ(totals[1].lane.totals.settled, nano_usd(100));
}

TEST(end_open_sends_death, needs_the_totals_of_every_lane) {
  std::vector records{attempt(0, true, 100)};
  std::vector<job_totals> totals;
  EXPECT_DEATH((void)end_open_sends(records, totals), "without totals");
}

}  // namespace
}  // namespace spillway
