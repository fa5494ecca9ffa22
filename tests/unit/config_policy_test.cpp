// Which lanes a job may use, as a configuration file says it.
#include "orchestrator/cli/config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string with_job(const std::string& job, const std::string& lane = "") {
  return "pools:\n"
         "  - name: a\n"
         "    provider: openai-compatible\n"
         "    endpoint: http://127.0.0.1:1/v1\n"
         "    data_classes: [no-train]\n"
         "    lanes:\n"
         "      - { model: m, as: x" +
         lane +
         " }\n"
         "      - { model: m, as: y, data_classes: [no-train, on-prem-only] }\n"
         "  - name: b\n"
         "    provider: openai-compatible\n"
         "    endpoint: http://127.0.0.1:2/v1\n"
         "    lanes: [{ model: n }, { model: m, as: z }]\n"
         "job:\n" +
         job;
}

TEST(config_policy, reads_the_whole_form) {
  const auto config = parse_run_config(with_job(R"(  models: { fast: m }
  lanes: [a/x, b]
  pools: [a, b]
  deny_lanes: [b/n]
  deny_pools: [b]
  providers: [bedrock, openai-compatible]
  regions: [eu-west-1]
  data_classes: [no-train]
  order: { a/x: 7, b: 1 }
  unmappable: drop
)"),
                                       "p.yaml");
  ASSERT_TRUE(config) << config.error().message;
  const auto& r = config->job.routes;
  EXPECT_THAT(r.models, ElementsAre(Pair("fast", "m")));
  EXPECT_THAT(r.lanes, ElementsAre("a/x", "b"));
  EXPECT_THAT(r.pools, ElementsAre("a", "b"));
  EXPECT_THAT(r.deny_lanes, ElementsAre("b/n"));
  EXPECT_THAT(r.deny_pools, ElementsAre("b"));
  EXPECT_THAT(r.providers, ElementsAre("bedrock", "openai-compatible"));
  EXPECT_THAT(r.regions, ElementsAre("eu-west-1"));
  EXPECT_THAT(r.data_classes, ElementsAre("no-train"));
  EXPECT_EQ(config->job.order, lane_order::weights);
  EXPECT_THAT(r.weights, ElementsAre(lane_weight{"a/x", 7}, lane_weight{"b", 1}));
  EXPECT_EQ(r.unmappable, unmappable_policy::drop);
}

TEST(config_policy, lanes_declare_data_classes_or_have_their_pools) {
  const auto config = parse_run_config(with_job("  order: cost\n"), "p.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_THAT(config->pools[0].lanes[0].data_classes, ElementsAre("no-train"));
  EXPECT_THAT(config->pools[0].lanes[1].data_classes, ElementsAre("no-train", "on-prem-only"));
  EXPECT_TRUE(config->pools[1].lanes[0].data_classes.empty());
}

TEST(config_policy, names_that_stand_for_nothing_are_mistakes) {
  struct mistake {
    const char* job;
    const char* expected;
  };
  for (const auto& [job, expected] :
       {mistake{"  deny_pools: [azur]\n", "job.deny_pools: expected a pool or pool/lane"},
        mistake{"  lanes: [a/w]\n", "job.lanes: expected a pool or pool/lane"},
        mistake{"  pools: []\n", "job.pools: expected at least one name"},
        mistake{"  order: { c: 1 }\n", "job.order: expected a pool or pool/lane"},
        mistake{"  order: { a: -1 }\n", "job.order.a: "},
        mistake{"  models: { fast: q }\n", "job.models: expected a model of some lane for fast"},
        mistake{"  models: { n: m }\n", "job.models: expected a name that is no model"},
        mistake{"  providers: [aws]\n", "job.providers: expected providers' names, found aws"},
        mistake{"  data_classes: [No Train]\n", "job.data_classes: expected lower-case names"},
        mistake{"  unmappable: ignore\n", "job.unmappable: "}}) {
    const auto config = parse_run_config(with_job(job), "p.yaml");
    ASSERT_FALSE(config) << job;
    EXPECT_THAT(config.error().message, HasSubstr(expected));
  }
}

TEST(config_policy, lanes_of_embeddings_have_one_model_behind_them) {
  const auto mixed =
      parse_run_config(with_job("  order: cost\n", ", embedding_model: ada"), "p.yaml");
  ASSERT_FALSE(mixed);
  EXPECT_THAT(mixed.error().message, HasSubstr("lanes a/x and a/y both offer m"));
  EXPECT_TRUE(parse_run_config(with_job("  order: cost\n"), "p.yaml"));
}

}  // namespace
}  // namespace spillway
