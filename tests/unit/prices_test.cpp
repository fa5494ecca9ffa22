#include "orchestrator/cli/prices.hpp"

#include "orchestrator/cli/config.hpp"
#include "tests/support/temp_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace spillway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* file = R"({
  "sample_spec": { "input_cost_per_token": 0.0, "output_cost_per_token": 0.0 },
  "gpt-a": {
    "litellm_provider": "openai", "mode": "chat",
    "input_cost_per_token": 2e-06, "output_cost_per_token": 1e-05,
    "cache_read_input_token_cost": 2e-07, "cache_creation_input_token_cost": 2.5e-06,
    "input_cost_per_token_above_272k_tokens": 4e-06,
    "output_cost_per_token_above_272k_tokens": 1.5e-05,
    "cache_read_input_token_cost_above_272k_tokens": 4e-07,
    "cache_creation_input_token_cost_above_272k_tokens": 5e-06,
    "input_cost_per_token_batches": 1e-06, "output_cost_per_token_batches": 5e-06,
    "input_cost_per_token_flex": 1e-06, "output_cost_per_token_flex": 5e-06,
    "cache_read_input_token_cost_flex": 1e-07,
    "input_cost_per_token_above_272k_tokens_flex": 2e-06,
    "output_cost_per_token_above_272k_tokens_flex": 7.5e-06,
    "input_cost_per_token_priority": 5e-06, "output_cost_per_token_priority": 2e-05,
    "regional_processing_uplift_multiplier_eu": 1.1,
    "regional_processing_uplift_multiplier_us": 1.1,
    "supports_vision": true
  },
  "gpt-old": { "litellm_provider": "openai", "input_cost_per_token": 1e-06,
               "output_cost_per_token": 2e-06 },
  "half": { "litellm_provider": "openai", "input_cost_per_token": 1e-06 },
  "tiny": { "litellm_provider": "openai", "input_cost_per_token": 1e-14,
            "output_cost_per_token": 0.0 },
  "embed": { "litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08 },
  "azure/gpt-a": { "litellm_provider": "azure", "input_cost_per_token": 2e-06,
                   "output_cost_per_token": 1e-05 },
  "azure/us/gpt-a": { "litellm_provider": "azure", "input_cost_per_token": 2.2e-06,
                      "output_cost_per_token": 1.1e-05 },
  "global.openai.gpt-a": { "litellm_provider": "bedrock_converse", "input_cost_per_token": 2e-06,
                           "output_cost_per_token": 1e-05 },
  "us.openai.gpt-a": { "litellm_provider": "bedrock_converse", "input_cost_per_token": 2.2e-06,
                       "output_cost_per_token": 1.1e-05 },
  "bedrock/us-gov-west-1/openai.gpt-a": { "litellm_provider": "bedrock",
                      "input_cost_per_token": 3e-06, "output_cost_per_token": 1.2e-05 },
  "openai.gpt-a": { "litellm_provider": "bedrock_converse", "input_cost_per_token": 2.5e-06,
                    "output_cost_per_token": 1e-05 },
  "bedrock_mantle/openai.gpt-a": { "litellm_provider": "bedrock_mantle",
                      "input_cost_per_token": 2.3e-06, "output_cost_per_token": 1.1e-05 },
  "gemini-a": { "litellm_provider": "gemini", "input_cost_per_token": 9e-06,
                "output_cost_per_token": 9e-06 },
  "gemini/gemini-a": { "litellm_provider": "gemini", "input_cost_per_token": 7e-07,
                       "output_cost_per_token": 3e-06 },
  "vertex_ai/gemini-a": { "litellm_provider": "vertex_ai", "input_cost_per_token": 7.5e-07,
                          "output_cost_per_token": 3.75e-06,
                          "regional_endpoint_uplift_multiplier": 1.1 },
  "gemini-b": { "litellm_provider": "vertex_ai-language-models", "input_cost_per_token": 1e-06,
                "output_cost_per_token": 2e-06 },
  "vertex_ai/openai/oss-maas": { "litellm_provider": "vertex_ai-openai_models",
                      "input_cost_per_token": 9e-08, "output_cost_per_token": 3.6e-07 },
  "claude-a": {
    "litellm_provider": "anthropic", "mode": "chat",
    "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05,
    "cache_read_input_token_cost": 3e-07, "cache_creation_input_token_cost": 3.75e-06,
    "cache_creation_input_token_cost_above_1hr": 6e-06,
    "input_cost_per_token_above_200k_tokens": 6e-06,
    "output_cost_per_token_above_200k_tokens": 2.25e-05,
    "cache_creation_input_token_cost_above_200k_tokens": 7.5e-06,
    "cache_creation_input_token_cost_above_1hr_above_200k_tokens": 1.2e-05
  }
})";

price_list list() { return price_list::parse(file, "prices.json").value(); }

std::int64_t pico(const std::optional<pico_usd_per_token>& price) {
  return price ? price->count() : -1;
}

pool_config pool(provider_kind provider, std::string endpoint = "https://example.com/v1") {
  pool_config p;
  p.provider = provider;
  p.endpoint = std::move(endpoint);
  return p;
}

lane_config lane(std::string as, std::vector<std::string> residency = {}) {
  lane_config l;
  l.as = l.model = std::move(as);
  l.residency = std::move(residency);
  return l;
}

std::int64_t input_price(const pool_config& p, const lane_config& l) {
  const auto price = price_of_lane(list(), p, l);
  return price ? price->input.count() : -1;
}

TEST(prices, of_an_entry_with_all_its_suffixes) {
  const auto p = list().price("gpt-a", price_variant::standard).value();
  EXPECT_EQ(p.input, pico_usd_per_token(2'000'000));
  EXPECT_EQ(p.output, pico_usd_per_token(10'000'000));
  EXPECT_EQ(pico(p.cached_input), 200'000);
  EXPECT_EQ(pico(p.cache_write), 2'500'000);
  EXPECT_EQ(pico(p.cache_write_1h), -1);
  ASSERT_EQ(p.steps.size(), 1u);
  EXPECT_EQ(p.steps[0].above, tokens(272'000));
  EXPECT_EQ(p.steps[0].prices.input, pico_usd_per_token(4'000'000));
  EXPECT_EQ(p.steps[0].prices.output, pico_usd_per_token(15'000'000));
  EXPECT_EQ(pico(p.steps[0].prices.cached_input), 400'000);
  EXPECT_EQ(pico(p.steps[0].prices.cache_write), 5'000'000);
  const auto batches = list().price("gpt-a", price_variant::batches).value();
  EXPECT_EQ(batches.input, pico_usd_per_token(1'000'000));
  EXPECT_EQ(pico(batches.cached_input), -1) << "unknown, so cached tokens cost as others do";
  const auto flex = list().price("gpt-a", price_variant::flex).value();
  EXPECT_EQ(pico(flex.cached_input), 100'000);
  EXPECT_EQ(flex.steps[0].prices.output, pico_usd_per_token(7'500'000));
}

TEST(prices, of_a_cache_that_lasts_an_hour) {
  const auto p = list().price("claude-a", price_variant::standard).value();
  EXPECT_EQ(pico(p.cache_write_1h), 6'000'000);
  EXPECT_EQ(pico(p.steps[0].prices.cache_write), 7'500'000);
  EXPECT_EQ(pico(p.steps[0].prices.cache_write_1h), 12'000'000);
  EXPECT_EQ(pico(p.steps[0].prices.cached_input), -1);
}

TEST(prices, that_a_tier_leaves_open_above_n_tokens_are_the_dearer_known_ones) {
  const auto p = list().price("gpt-a", price_variant::priority).value();
  ASSERT_EQ(p.steps.size(), 1u);
  EXPECT_EQ(p.steps[0].prices.input, pico_usd_per_token(5'000'000)) << "its own below";
  EXPECT_EQ(p.steps[0].prices.output, pico_usd_per_token(20'000'000));
  const auto batches = list().price("gpt-a", price_variant::batches).value();
  EXPECT_EQ(batches.steps[0].prices.input, pico_usd_per_token(4'000'000)) << "the standard one";
}

TEST(prices, that_are_missing_are_unknown_and_not_free) {
  const auto half = list().price("half", price_variant::standard);
  ASSERT_FALSE(half);
  EXPECT_EQ(half.error().message, "prices.json: half has no output_cost_per_token");
  const auto flex = list().price("gpt-old", price_variant::flex);
  ASSERT_FALSE(flex);
  EXPECT_THAT(flex.error().message, HasSubstr("gpt-old has no input_cost_per_token_flex"));
  EXPECT_TRUE(list().price("embed", price_variant::standard)) << "embeddings have no output";
  EXPECT_EQ(list().price("tiny", price_variant::standard)->input, pico_usd_per_token(1));
  EXPECT_FALSE(list().has("sample_spec"));
}

TEST(prices, of_a_lane_are_found_by_provider_and_place) {
  using enum provider_kind;
  EXPECT_EQ(input_price(pool(openai, "https://api.openai.com/v1"), lane("gpt-a")), 2'000'000);
  EXPECT_EQ(input_price(pool(openai, "https://eu.api.openai.com/v1"), lane("gpt-a")), 2'200'000);
  EXPECT_EQ(input_price(pool(openai, "https://jp.api.openai.com/v1"), lane("gpt-a")), -1)
      << "no uplift is known there";
  EXPECT_EQ(input_price(pool(openai, "https://jp.api.openai.com/v1"), lane("gpt-old")), 1'000'000);
  EXPECT_EQ(input_price(pool(openai), lane("gemini-b")), -1) << "another provider's";
  EXPECT_EQ(input_price(pool(azure_openai), lane("gpt-a")), 2'000'000);
  EXPECT_EQ(input_price(pool(azure_openai), lane("gpt-a", {"us"})), 2'200'000);
  EXPECT_EQ(input_price(pool(azure_openai), lane("gpt-a", {"us", "eu"})), 2'000'000);
  EXPECT_EQ(input_price(pool(azure_openai), lane("gpt-a", {"eu"})), -1);
  auto deployment = lane("prod-7", {"us"});
  deployment.model = "gpt-a";
  EXPECT_EQ(input_price(pool(azure_openai), deployment), 2'200'000);

  auto runtime = pool(bedrock, "https://bedrock-runtime.us-east-1.amazonaws.com");
  runtime.region = "us-east-1";
  EXPECT_EQ(input_price(runtime, lane("global.openai.gpt-a")), 2'000'000);
  EXPECT_EQ(input_price(runtime, lane("us.openai.gpt-a")), 2'200'000);
  EXPECT_EQ(input_price(runtime, lane("openai.gpt-a")), 2'500'000);
  EXPECT_EQ(input_price(runtime, lane("eu.openai.gpt-a")), -1) << "never another place's price";
  EXPECT_EQ(
      input_price(runtime, lane("arn:aws:bedrock:us-east-1:1:inference-profile/us.openai.gpt-a")),
      2'200'000);
  EXPECT_EQ(
      input_price(runtime, lane("arn:aws:bedrock:us-east-1:1:application-inference-profile/x1")),
      -1);
  runtime.region = "us-gov-west-1";
  EXPECT_EQ(input_price(runtime, lane("openai.gpt-a")), 3'000'000);
  EXPECT_EQ(input_price(pool(bedrock, "https://bedrock-mantle.us-east-1.api.aws/openai/v1"),
                        lane("openai.gpt-a")),
            2'300'000);

  auto google = pool(vertex);
  google.location = "global";
  EXPECT_EQ(input_price(google, lane("gemini-a")), 750'000);
  EXPECT_EQ(input_price(google, lane("google/gemini-a")), 750'000);
  EXPECT_EQ(input_price(google, lane("gemini-b")), 1'000'000);
  EXPECT_EQ(input_price(google, lane("openai/oss-maas")), 90'000);
  google.location = "europe-west4";
  EXPECT_EQ(input_price(google, lane("gemini-a")), 825'000);
  EXPECT_EQ(input_price(pool(anthropic), lane("claude-a")), 3'000'000);
  EXPECT_EQ(input_price(pool(anthropic), lane("gpt-a")), -1);
  EXPECT_EQ(input_price(
                pool(openai_compatible, "https://generativelanguage.googleapis.com/v1beta/openai"),
                lane("gemini-a")),
            700'000);
  EXPECT_EQ(input_price(pool(openai_compatible), lane("gpt-a")), -1);
}

TEST(prices, of_a_lane_follow_its_tier_and_a_key_of_its_own) {
  using enum provider_kind;
  auto l = lane("gpt-a");
  l.tier = lane_tier::flex;
  EXPECT_EQ(input_price(pool(openai), l), 1'000'000);
  l.tier = lane_tier::priority;
  EXPECT_EQ(input_price(pool(openai), l), 5'000'000);
  l.tier = lane_tier::provisioned;
  EXPECT_THAT(price_keys(pool(openai), l), IsEmpty()) << "paid by the hour";
  l.price_key = "claude-a";
  EXPECT_EQ(input_price(pool(openai_compatible), l), 3'000'000);
  l.price_key = "nowhere";
  EXPECT_THAT(price_of_lane(list(), pool(openai), l).error().message,
              HasSubstr("prices.json has no entry nowhere"));
  EXPECT_THAT(price_keys(pool(azure_openai), lane("x", {"eu"})), ElementsAre("azure/eu/x"));
}

TEST(prices, that_are_no_price_file_are_refused) {
  for (const char* text : {"", "[]", "{", "{}", R"({"a": 1})", R"({"a": {"input": 1}})",
                           R"({"sample_spec": {"input_cost_per_token": 0}})"}) {
    const auto list = price_list::parse(text, "p.json");
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.error().kind, failure_kind::usage);
    EXPECT_THAT(list.error().message, HasSubstr("model_prices_and_context_window.json"));
  }
  EXPECT_THAT(price_list::load("/nonexistent.json").error().message,
              HasSubstr("/nonexistent.json"));
}

std::string config_with(const std::string& path, const std::string& lane_keys) {
  return "prices: " + path +
         "\n"
         "pools: [{ name: o, provider: openai, auth: { api_key: env:K }, lanes: [" +
         "{ model: gpt-a, max_output_tokens: 100" + lane_keys +
         " }] }]\n"
         "job: { budget_usd: 5 }\n";
}

TEST(prices, of_a_configuration_come_from_its_file_unless_the_lane_says_otherwise) {
  const temp_folder folder;
  const auto path = folder.path() + "/prices.json";
  std::ofstream(path) << file;
  const auto read = [&](const std::string& lane_keys) {
    return parse_run_config(config_with(path, lane_keys), "p");
  };
  const auto listed = read("");
  ASSERT_TRUE(listed) << listed.error().message;
  EXPECT_EQ(listed->pools[0].lanes[0].price->input, pico_usd_per_token(2'000'000));
  EXPECT_EQ(listed->pools[0].lanes[0].price->steps.size(), 1u);
  const auto& tiers = listed->pools[0].lanes[0].other_tiers;
  ASSERT_EQ(tiers.size(), 2u);
  EXPECT_EQ(tiers.at(lane_tier::flex).input, pico_usd_per_token(1'000'000));
  EXPECT_EQ(tiers.at(lane_tier::priority).input, pico_usd_per_token(5'000'000));
  const auto sold_twice = read(
      ", price: { input: 1, output: 2 } }, { model: gpt-a, tier: flex, max_output_tokens: 9, "
      "price: { input: 0.5, output: 1 }");
  ASSERT_TRUE(sold_twice) << sold_twice.error().message;
  for (const auto& lane : sold_twice->pools[0].lanes) EXPECT_EQ(lane.other_tiers.size(), 1u);
  EXPECT_EQ(sold_twice->pools[0].lanes[1].other_tiers.at(lane_tier::standard).input,
            pico_usd_per_token(1'000'000))
      << "a price of one's own is not mixed with the list's";
  const auto own = read(", price: { input: 1, output: 2, above: [{ tokens: 10, input: 3 }] }");
  ASSERT_TRUE(own) << own.error().message;
  EXPECT_EQ(own->pools[0].lanes[0].price->input, pico_usd_per_token(1'000'000));
  EXPECT_EQ(own->pools[0].lanes[0].price->steps[0].above, tokens(10));
  EXPECT_EQ(own->pools[0].lanes[0].price->steps[0].prices.output, pico_usd_per_token(2'000'000))
      << "not free: as below";
  const auto keyed = read(", price_key: gpt-old");
  ASSERT_TRUE(keyed) << keyed.error().message;
  EXPECT_EQ(keyed->pools[0].lanes[0].price->input, pico_usd_per_token(1'000'000));
  const auto unknown = read(", as: gpt-z");
  ASSERT_FALSE(unknown);
  EXPECT_THAT(unknown.error().message, HasSubstr("lane gpt-z: " + path + " has no entry gpt-z"));
  const auto missing = parse_run_config(config_with("/nonexistent.json", ""), "p");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("p:1: prices: /nonexistent.json: cannot read"));
  const auto by_flag =
      parse_run_config(config_with("/nonexistent.json", ""), "p", {.prices = path});
  EXPECT_TRUE(by_flag) << by_flag.error().message;
}

TEST(prices, unknown_ones_matter_only_to_a_job_with_a_budget) {
  const temp_folder folder;
  const auto path = folder.path() + "/prices.json";
  std::ofstream(path) << file;
  const auto config = parse_run_config("prices: " + path +
                                           "\npools: [{ name: o, provider: openai, auth: { "
                                           "api_key: env:K }, lanes: [{ model: z }] }]",
                                       "p");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_FALSE(config->pools[0].lanes[0].price);
}

}  // namespace
}  // namespace spillway
