#include "orchestrator/core/money.hpp"
#include "orchestrator/core/retry.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace spillway {
namespace {

using namespace std::chrono_literals;

lane_config priced(std::int64_t input, std::int64_t output,
                   std::optional<std::int64_t> cached = {}) {
  lane_config lane;
  lane.price = price_config{pico_usd_per_token(input), pico_usd_per_token(output), {}};
  if (cached) lane.price->cached_input = pico_usd_per_token(*cached);
  return lane;
}

token_usage usage(std::int64_t input, std::int64_t cached, std::int64_t output) {
  return {true, tokens(input), tokens(cached), tokens(output)};
}

TEST(money, cost_is_rounded_up_to_the_next_nano_usd) {
  EXPECT_EQ(cost_of(tokens(0), pico_usd_per_token(750'000)), nano_usd(0));
  EXPECT_EQ(cost_of(tokens(1), pico_usd_per_token(1)), nano_usd(1));
  EXPECT_EQ(cost_of(tokens(1), pico_usd_per_token(1'000)), nano_usd(1));
  EXPECT_EQ(cost_of(tokens(1), pico_usd_per_token(1'001)), nano_usd(2));
  EXPECT_EQ(cost_of(tokens(1'000'000), pico_usd_per_token(750'000)), from_usd(0.75));
  EXPECT_EQ(cost_of(tokens(1'000'000'000), pico_usd_per_token(1'000'000'000'000)).count(),
            1'000'000'000'000'000'000)
      << "no overflow on the way";
}

TEST(money, a_bill_counts_cached_input_at_its_own_price) {
  const auto lane = priced(1'000'000, 4'000'000, 100'000);
  EXPECT_EQ(billed(usage(1'000, 400, 10), *lane.price), nano_usd(600'000 + 40'000 + 40'000));
  const auto plain = priced(1'000'000, 4'000'000);
  EXPECT_EQ(billed(usage(1'000, 400, 10), *plain.price), nano_usd(1'040'000));
  EXPECT_EQ(billed(usage(100, 400, 0), *lane.price), nano_usd(10'000))
      << "a provider that counts more cached than input tokens bills no negative input";
}

TEST(money, a_call_costs_what_the_tier_that_served_it_costs) {
  auto lane = priced(4, 8);
  lane.tier = lane_tier::priority;
  lane.other_tiers.emplace(lane_tier::standard, *priced(2, 4).price);
  const auto input = [&](std::string_view tier) { return price_served(lane, tier).input.count(); };
  EXPECT_EQ(input("default"), 2);
  EXPECT_EQ(input("priority"), 4);
  EXPECT_EQ(input(""), 4) << "not said";
  EXPECT_EQ(input("flex"), 4) << "no price known";
  EXPECT_EQ(input("scale"), 4) << "no tier of ours";
}

TEST(money, the_worst_case_is_made_of_bytes_images_and_output) {
  const auto lane = priced(1'000'000, 4'000'000);
  EXPECT_EQ(worst_case({300, 0, 1, tokens(50)}, lane), nano_usd(300'000 + 200'000));
  EXPECT_EQ(worst_case({300, 2, 1, tokens(50)}, lane),
            nano_usd(300'000 + 2 * 16'384'000 + 200'000));
  EXPECT_EQ(worst_case({300, 0, 1, tokens{}}, lane), nano_usd(300'000)) << "no limit known";
  auto limited = lane;
  limited.max_output_tokens = tokens(1'000);
  EXPECT_EQ(worst_case({300, 0, 3, tokens{}}, limited), nano_usd(300'000 + 3 * 4'000'000));
  EXPECT_EQ(worst_case({300, 0, 3, tokens(60)}, limited), nano_usd(300'000 + 240'000));
  EXPECT_EQ(worst_case({300, 2, 3, tokens(6)}, lane_config{}), nano_usd(0)) << "no price";
  EXPECT_EQ(worst_case({10, 0, 1, tokens(20)}, priced(1'000, 1'000, 9'000)), nano_usd(90 + 20))
      << "the dearest input price counts";
  EXPECT_EQ(worst_case({300, 0, 1, tokens(50), tokens(100)}, lane), nano_usd(400'000 + 200'000));
}

TEST(money, a_limit_below_the_least_of_some_forms_reserves_the_least) {
  const auto lane = priced(1'000'000, 4'000'000);
  EXPECT_EQ(worst_case({100, 0, 1, tokens(1)}, lane), nano_usd(100'000 + 16 * 4'000));
  EXPECT_EQ(worst_case({100, 0, 3, tokens(3)}, lane), nano_usd(100'000 + 3 * 16 * 4'000));
  EXPECT_EQ(worst_case({100, 0, 1, tokens(17)}, lane), nano_usd(100'000 + 17 * 4'000));
  EXPECT_EQ(worst_case({100, 0, 1, tokens{}}, lane), nano_usd(100'000)) << "an embedding";
}

TEST(money, what_providers_add_is_reserved_with_the_text) {
  using enum prompt_feature;
  const auto added = [](endpoint_kind endpoint, prompt_features asked) {
    return added_tokens(endpoint, asked).count();
  };
  EXPECT_EQ(added(endpoint_kind::chat_completions, {}), 128);
  EXPECT_EQ(added(endpoint_kind::responses, seed | temperature), 128);
  EXPECT_EQ(added(endpoint_kind::chat_completions, tools), 128 + 1'024);
  EXPECT_EQ(added(endpoint_kind::responses, json_schema), 128 + 1'024);
  EXPECT_EQ(added(endpoint_kind::chat_completions, all_features), 128 + 1'024) << "nobody looked";
  EXPECT_EQ(added(endpoint_kind::embeddings, all_features), 0);
  EXPECT_EQ(added(endpoint_kind::completions, all_features), 0);
  prompt p;
  p.body.length = 700;
  p.images = 2;
  p.choices = 3;
  p.max_output = tokens(9);
  p.features = tools;
  const auto size = size_of(p);
  EXPECT_EQ(size.body_bytes, 700);
  EXPECT_EQ(size.images, 2);
  EXPECT_EQ(size.choices, 3);
  EXPECT_EQ(size.max_output, tokens(9));
  EXPECT_EQ(size.added, tokens(1'152));
}

TEST(money, images_are_dearer_where_they_are_counted_by_the_tile) {
  auto lane = priced(1'000'000, 0);
  for (auto* name : {&lane.as, &lane.model}) {
    *name = "gpt-4o-mini-2024-07-18";
    EXPECT_EQ(worst_case({0, 1, 1, {}}, lane), nano_usd(49'152'000));
    *name = "gpt-4o";
    EXPECT_EQ(worst_case({0, 1, 1, {}}, lane), nano_usd(16'384'000));
  }
}

TEST(money, tokens_written_to_a_cache_have_their_own_prices) {
  auto lane = priced(1'000'000, 4'000'000, 100'000);
  auto wrote = usage(1'000, 400, 0);
  wrote.cache_write = tokens(300);
  wrote.cache_write_1h = tokens(100);
  EXPECT_EQ(billed(wrote, *lane.price), nano_usd(600'000 + 40'000)) << "no price of its own";
  lane.price->cache_write = pico_usd_per_token(1'250'000);
  EXPECT_EQ(billed(wrote, *lane.price), nano_usd(300'000 + 40'000 + 375'000));
  lane.price->cache_write_1h = pico_usd_per_token(2'000'000);
  EXPECT_EQ(billed(wrote, *lane.price), nano_usd(300'000 + 40'000 + 250'000 + 200'000));
  wrote.cache_write = tokens(5'000);
  EXPECT_EQ(billed(wrote, *lane.price), nano_usd(40'000 + 500 * 1'250 + 100 * 2'000))
      << "never more written than sent";
  EXPECT_EQ(worst_case({1'000, 0, 1, tokens(20)}, lane), nano_usd(2'000'000 + 80'000))
      << "all of it may be written for an hour";
}

TEST(money, a_long_request_costs_the_prices_of_its_length_as_a_whole) {
  auto lane = priced(2'000'000, 10'000'000, 200'000);
  lane.price->steps = {
      {tokens(200), {pico_usd_per_token(4'000'000), pico_usd_per_token(15'000'000)}},
      {tokens(500), {pico_usd_per_token(1'000'000), pico_usd_per_token(1'000'000)}}};
  EXPECT_EQ(billed(usage(200, 0, 10), *lane.price), nano_usd(200 * 2'000 + 10 * 10'000));
  EXPECT_EQ(billed(usage(201, 0, 10), *lane.price), nano_usd(201 * 4'000 + 10 * 15'000));
  EXPECT_EQ(billed(usage(201, 200, 10), *lane.price), nano_usd(201 * 4'000 + 10 * 15'000))
      << "cached input counts for the length, and has no price of its own up there";
  EXPECT_EQ(billed(usage(501, 0, 10), *lane.price), nano_usd(501 * 1'000 + 10 * 1'000));
  EXPECT_EQ(worst_case({200, 0, 1, tokens(20)}, lane), nano_usd(200 * 2'000 + 20 * 10'000));
  EXPECT_EQ(worst_case({600, 0, 1, tokens(20)}, lane), nano_usd(600 * 4'000 + 20 * 15'000))
      << "the dearest that may apply";
}

TEST(money, the_worst_case_covers_every_bill_within_the_limits) {
  std::mt19937_64 random(7);
  const auto up_to = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n + 1));
  };
  for (int i = 0; i < 20'000; ++i) {
    auto lane = priced(up_to(20'000'000), up_to(100'000'000));
    const auto maybe = [&](std::int64_t n) {
      return random() % 2 ? std::optional(pico_usd_per_token(up_to(n))) : std::nullopt;
    };
    for (auto* price :
         {&lane.price->cached_input, &lane.price->cache_write, &lane.price->cache_write_1h})
      *price = maybe(30'000'000);
    for (auto above = up_to(50'000); above < 200'000 && random() % 2; above += 1 + up_to(99'000))
      lane.price->steps.push_back(
          {tokens(above),
           {pico_usd_per_token(up_to(40'000'000)), pico_usd_per_token(up_to(100'000'000)),
            maybe(30'000'000), maybe(30'000'000), maybe(30'000'000)}});
    prompt_size size{up_to(100'000), up_to(3), 1 + up_to(4), {}};
    if (random() % 2)
      size.max_output = tokens(size.choices * (1 + up_to(10'000)));
    else
      lane.max_output_tokens = tokens(1 + up_to(10'000));
    const tokens output_max =
        size.max_output == tokens{} ? *lane.max_output_tokens * size.choices : size.max_output;
    const auto input = up_to(size.body_bytes + size.images * image_tokens_max.count());
    auto used = usage(input, up_to(input), up_to(output_max.count()));
    used.cache_write = tokens(up_to(input));
    used.cache_write_1h = tokens(up_to(input));
    ASSERT_LE(billed(used, *lane.price), worst_case(size, lane));
  }
}

TEST(budget, without_a_cap_everything_fits) {
  budget b;
  b.reserve(from_usd(1e9));
  EXPECT_TRUE(b.fits(from_usd(1e9)));
  EXPECT_EQ(b.cap(), std::nullopt);
}

TEST(budget, fits_up_to_the_cap_and_not_beyond) {
  budget b(nano_usd(100));
  EXPECT_TRUE(b.fits(nano_usd(100)));
  EXPECT_FALSE(b.fits(nano_usd(101)));
  b.reserve(nano_usd(60));
  EXPECT_TRUE(b.fits(nano_usd(40)));
  EXPECT_FALSE(b.fits(nano_usd(41)));
  b.settle(nano_usd(60), nano_usd(10));
  EXPECT_EQ(b.settled(), nano_usd(10));
  EXPECT_EQ(b.reserved(), nano_usd(0));
  EXPECT_TRUE(b.fits(nano_usd(90)));
  EXPECT_FALSE(b.fits(nano_usd(91)));
}

TEST(budget, is_never_exceeded_by_any_order_of_reservations_and_bills) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    const nano_usd cap(1'000'000);
    budget b(cap);
    std::vector<nano_usd> open;
    std::int64_t settled = 0;
    for (int i = 0; i < 5'000; ++i) {
      const nano_usd worst(static_cast<std::int64_t>(random() % 20'000));
      if (random() % 2 == 0 && b.fits(worst)) {
        b.reserve(worst);
        open.push_back(worst);
      } else if (!open.empty()) {
        std::swap(open[random() % open.size()], open.back());
        const nano_usd cost(static_cast<std::int64_t>(
            random() % static_cast<std::uint64_t>(open.back().count() / 50 + 1)));
        b.settle(open.back(), cost);
        settled += cost.count();
        open.pop_back();
      }
      ASSERT_LE(b.settled() + b.reserved(), cap) << "seed " << seed;
    }
    nano_usd reserved;
    for (const auto r : open) reserved += r;
    EXPECT_EQ(b.settled(), nano_usd(settled));
    EXPECT_EQ(b.reserved(), reserved);
  }
}

TEST(retry, hashed_unit_is_uniform_and_depends_on_every_argument) {
  double sum = 0;
  std::array<int, 10> tenths{};
  for (std::uint32_t i = 0; i < 10'000; ++i) {
    const double u = hashed_unit(42, position::from_value(i), 1);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    ++tenths[static_cast<std::size_t>(u * 10)];
  }
  EXPECT_NEAR(sum / 10'000, 0.5, 0.02);
  for (const int n : tenths) EXPECT_NEAR(n, 1'000, 150);
  const auto p = position::from_value(5);
  EXPECT_EQ(hashed_unit(1, p, 1), hashed_unit(1, p, 1));
  EXPECT_NE(hashed_unit(1, p, 1), hashed_unit(2, p, 1));
  EXPECT_NE(hashed_unit(1, p, 1), hashed_unit(1, p, 2));
  EXPECT_NE(hashed_unit(1, p, 1), hashed_unit(1, position::from_value(6), 1));
}

TEST(retry, delays_double_up_to_thirty_seconds) {
  struct row {
    std::uint32_t failures;
    duration top;
  };
  for (const auto& [failures, top] :
       {row{1, 500ms}, row{2, 1s}, row{3, 2s}, row{6, 16s}, row{7, 30s}, row{8, 30s}, row{40, 30s},
        row{4'000'000, 30s}}) {
    duration most{};
    for (std::uint32_t i = 0; i < 2'000; ++i) {
      const auto d = retry_delay(9, position::from_value(i), failures, {});
      ASSERT_GE(d, 0s);
      ASSERT_LT(d, top);
      most = std::max(most, d);
    }
    EXPECT_GT(most, top * 99 / 100) << failures << " failures use the whole range";
  }
}

TEST(retry, a_retry_after_is_waited_out_first) {
  const auto p = position::from_value(77);
  EXPECT_EQ(retry_delay(9, p, 2, 7s), retry_delay(9, p, 2, {}) + 7s);
}

}  // namespace
}  // namespace spillway
