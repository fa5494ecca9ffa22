#include "orchestrator/core/routes.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace spillway {
namespace {

using names = std::vector<std::string>;
using enum prompt_feature;

lane_setup lane_in(const std::string& pool) {
  lane_setup l;
  l.pool = pool;
  l.provider = provider_kind::bedrock;
  l.region = "eu-west-1";
  l.config.model = "m";
  l.config.as = "x";
  l.config.residency = {"eu"};
  l.config.data_classes = {"no-train", "on-prem-only"};
  return l;
}

struct policy_case {
  const char* name;
  void (*restrict)(job_config&);
  route_refusal expected;
};

class route_policies : public testing::TestWithParam<policy_case> {};

TEST_P(route_policies, decide_whether_a_job_may_use_a_lane) {
  job_config job;
  GetParam().restrict(job);
  EXPECT_EQ(refusal_of(job, lane_in("a")), GetParam().expected);
}

INSTANTIATE_TEST_SUITE_P(
    cases, route_policies,
    testing::Values(
        policy_case{"none", [](job_config&) {}, route_refusal::none},
        policy_case{"pool", [](job_config& j) { j.routes.pools = {"a"}; }, route_refusal::none},
        policy_case{"other_pool", [](job_config& j) { j.routes.pools = {"b"}; },
                    route_refusal::not_allowed},
        policy_case{"lane", [](job_config& j) { j.routes.lanes = {"a/x"}; }, route_refusal::none},
        policy_case{"lane_by_pool", [](job_config& j) { j.routes.lanes = {"a"}; },
                    route_refusal::none},
        policy_case{"other_lane",
                    [](job_config& j) {
                      j.routes.lanes = {"a/y", "b"};
                    },
                    route_refusal::not_allowed},
        policy_case{"pool_and_other_lane",
                    [](job_config& j) {
                      j.routes.pools = {"a"};
                      j.routes.lanes = {"b"};
                    },
                    route_refusal::not_allowed},
        policy_case{"denied_pool",
                    [](job_config& j) {
                      j.routes.pools = {"a"};
                      j.routes.deny_pools = {"a"};
                    },
                    route_refusal::denied},
        policy_case{"denied_lane",
                    [](job_config& j) {
                      j.routes.lanes = {"a/x"};
                      j.routes.deny_lanes = {"a/x"};
                    },
                    route_refusal::denied},
        policy_case{"denied_other", [](job_config& j) { j.routes.deny_lanes = {"a/y"}; },
                    route_refusal::none},
        policy_case{"provider",
                    [](job_config& j) {
                      j.routes.providers = {"vertex", "bedrock"};
                    },
                    route_refusal::none},
        policy_case{"other_provider", [](job_config& j) { j.routes.providers = {"vertex"}; },
                    route_refusal::provider},
        policy_case{"region", [](job_config& j) { j.routes.regions = {"eu-west-1"}; },
                    route_refusal::none},
        policy_case{"other_region", [](job_config& j) { j.routes.regions = {"eu-west-2"}; },
                    route_refusal::region},
        policy_case{"residency", [](job_config& j) { j.residency = names{"us"}; },
                    route_refusal::residency},
        policy_case{"data_class", [](job_config& j) { j.routes.data_classes = {"no-train"}; },
                    route_refusal::none},
        policy_case{"data_class_missing",
                    [](job_config& j) {
                      j.routes.data_classes = {"no-train", "secret"};
                    },
                    route_refusal::data_class}),
    [](const auto& i) { return i.param.name; });

TEST(routes, what_a_lane_does_not_declare_it_does_not_have) {
  auto bare = lane_in("a");
  bare.region.clear();
  bare.config.residency.clear();
  bare.config.data_classes.clear();
  job_config job;
  EXPECT_EQ(refusal_of(job, bare), route_refusal::none);
  job.routes.regions = {"eu-west-1"};
  EXPECT_EQ(refusal_of(job, bare), route_refusal::region);
  job = {};
  job.residency = names{"eu"};
  EXPECT_EQ(refusal_of(job, bare), route_refusal::residency);
  job = {};
  job.routes.data_classes = {"no-train"};
  EXPECT_EQ(refusal_of(job, bare), route_refusal::data_class);
}

TEST(routes, a_prompt_goes_only_where_all_it_asks_for_can_be_mapped) {
  auto l = lane_in("a");
  auto& chat = l.takes[static_cast<std::size_t>(endpoint_kind::chat_completions)];
  chat.unmappable = tools | seed;
  l.takes[static_cast<std::size_t>(endpoint_kind::embeddings)].serves = false;
  job_config job;
  const auto why = [&](endpoint_kind e, prompt_features f) { return refusal_of(job, l, e, f); };
  EXPECT_EQ(why(endpoint_kind::chat_completions, stop), route_refusal::none);
  EXPECT_EQ(why(endpoint_kind::chat_completions, seed), route_refusal::unmappable);
  EXPECT_EQ(why(endpoint_kind::embeddings, {}), route_refusal::endpoint);
  EXPECT_EQ(why(endpoint_kind::responses, seed), route_refusal::none);
  job.routes.unmappable = unmappable_policy::drop;
  EXPECT_EQ(why(endpoint_kind::chat_completions, seed), route_refusal::none);
  EXPECT_EQ(why(endpoint_kind::chat_completions, seed | tools), route_refusal::unmappable)
      << "tools are asked for, not a way of answering";
  job.residency = names{"us"};
  EXPECT_EQ(why(endpoint_kind::chat_completions, {}), route_refusal::residency)
      << "policy comes first";
}

/// Every set of some features, so that nothing is left to chance.
TEST(routes, the_closure_of_a_set_is_taken_by_the_same_lanes) {
  const prompt_feature some[] = {tools, seed, stop, image_url, logprobs};
  std::vector<endpoint_fit> lanes(4);
  lanes[1].unmappable = seed | logprobs;
  lanes[2].unmappable = tools | seed;
  lanes[3].unmappable = image_url;
  std::vector<prompt_features> limits;
  for (const auto& fit : lanes) add_limits(fit, limits);
  std::vector<prompt_features> kinds;
  for (unsigned bits = 0; bits < 32; ++bits) {
    prompt_features asked;
    for (unsigned i = 0; i < 5; ++i)
      if ((bits >> i) & 1) asked |= some[i];
    const auto all = closure(asked, limits);
    EXPECT_EQ(asked & all, asked);
    EXPECT_EQ(closure(all, limits), all);
    for (const auto& fit : lanes)
      for (const auto policy : {unmappable_policy::restrict, unmappable_policy::drop})
        EXPECT_EQ(kept_off_by(fit, asked, policy).empty(), kept_off_by(fit, all, policy).empty());
    kinds.push_back(all);
  }
  std::sort(kinds.begin(), kinds.end());
  kinds.erase(std::unique(kinds.begin(), kinds.end()), kinds.end());
  EXPECT_LE(kinds.size(), 12u) << "what no lane minds makes no kind of its own";
  EXPECT_EQ(closure(seed, {}), all_features);
}

TEST(routes, weights_name_lanes_before_pools) {
  route_policy p;
  p.weights = {{"a", 3}, {"a/x", 7}};
  EXPECT_EQ(weight_of(p, lane_in("a")), 7);
  auto other = lane_in("a");
  other.config.as = "y";
  EXPECT_EQ(weight_of(p, other), 3);
  EXPECT_EQ(weight_of(p, lane_in("b")), 0);
}

TEST(routes, a_policy_leaves_to_the_defaults_what_it_does_not_say) {
  route_policy defaults;
  defaults.deny_pools = {"x"};
  defaults.data_classes = {"no-train"};
  defaults.unmappable = unmappable_policy::drop;
  route_policy own;
  own.data_classes = {"secret"};
  const auto both = own.over(defaults);
  EXPECT_EQ(both.deny_pools, names{"x"});
  EXPECT_EQ(both.data_classes, names{"secret"});
  EXPECT_EQ(both.unmappable, unmappable_policy::drop);
}

}  // namespace
}  // namespace spillway
