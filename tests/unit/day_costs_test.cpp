#include "orchestrator/core/tally.hpp"

#include <gtest/gtest.h>

#include <random>

namespace spillway {
namespace {

using namespace std::chrono_literals;

constexpr time_point noon = std::chrono::sys_days(std::chrono::year(2026) / 3 / 1) + 12h;

TEST(day_costs, stand_by_day_whatever_the_order_they_come_in) {
  day_costs all;
  all.add({20'001, 1, nano_usd(5)});
  all.add({20'003, 2, nano_usd(7)});
  all.add({20'001, 3, nano_usd(-1)});
  all.add({20'002, 1, nano_usd(0)});
  all.add({20'009, 0, nano_usd(0)});
  EXPECT_EQ(all.days(),
            (std::vector<day_cost>{
                {20'001, 4, nano_usd(4)}, {20'002, 1, nano_usd(0)}, {20'003, 2, nano_usd(7)}}));
}

TEST(day_costs, of_many_days_the_last_400_are_kept) {
  day_costs all;
  for (std::int64_t day = 0; day < 1'000; ++day) all.add({day, 1, nano_usd(day)});
  ASSERT_EQ(all.days().size(), day_costs::days_kept);
  EXPECT_EQ(all.days().front().day, 600);
  EXPECT_EQ(all.days().back(), (day_cost{999, 1, nano_usd(999)}));
  all.add({3, 1, nano_usd(3)});
  EXPECT_EQ(all.days().front().day, 600) << "what is too old stays out";
}

TEST(day_costs, of_a_lane_add_up_to_what_it_settled) {
  std::mt19937_64 random(3);
  lane_totals lane, elsewhere;
  for (int i = 0; i < 5'000; ++i) {
    auto& t = random() % 3 == 0 ? elsewhere : lane;
    const auto at = noon + std::chrono::minutes(random() % (9 * 24 * 60));
    tally_send(t, at);
    outcome out;
    out.kind = outcome_kind::answered;
    out.status = random() % 5 == 0 ? 0 : 200;
    const auto charge =
        out.never_sent() ? nano_usd{} : nano_usd(static_cast<std::int64_t>(random() % 1'000));
    tally_end(t, at + 3h, out, charge, 1s);
    if (random() % 7 == 0) tally_charge(t, at, nano_usd(11));
  }
  auto sum = lane;
  tally_add(sum, elsewhere);
  auto same = lane;
  same.add(elsewhere);
  EXPECT_EQ(sum.by_day, same.by_day);
  nano_usd settled;
  std::int64_t calls = 0;
  for (const auto& d : sum.by_day.days()) {
    settled += d.settled;
    calls += d.calls;
  }
  EXPECT_EQ(settled, sum.settled);
  EXPECT_EQ(calls, sum.calls);
  EXPECT_GE(sum.by_day.days().size(), 9u);
}

}  // namespace
}  // namespace spillway
