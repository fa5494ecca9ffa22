// Which prompts get a class, and why others don't.
#include "orchestrator/engine/class_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using testing::HasSubstr;
using enum prompt_feature;

constexpr time_point start(std::chrono::seconds(1'790'000'000));

lane_setup lane_in(const std::string& pool, prompt_features unmappable = {}) {
  lane_setup l;
  l.pool = pool;
  l.config.model = l.config.as = "m";
  for (auto& fit : l.takes) fit.unmappable = unmappable;
  l.rate_charge = [](tokens input, tokens, tokens) { return input; };
  return l;
}

class directory {
 public:
  explicit directory(std::vector<lane_setup> lanes, job_config policy = {})
      : sched_({}, std::move(lanes), start) {
    job_setup job;
    job.policy = std::move(policy);
    sched_.put_job(job_number(0), job);
    directory_.put(job_number(0), sched_);
  }
  class_verdict verdict(const std::string& parameters, const std::string& model = "m",
                        endpoint_kind kind = endpoint_kind::chat_completions) {
    const auto body = R"({"model":")" + model + R"(","messages":[{"role":"user","content":"x"}])" +
                      parameters + "}";
    return directory_.of(job_number(0))(model, kind, {url_of(kind), body, 9, model.size() + 2});
  }
  std::string code(const std::string& parameters, const std::string& model = "m",
                   endpoint_kind kind = endpoint_kind::chat_completions) {
    const auto v = verdict(parameters, model, kind);
    const auto* refusal = std::get_if<class_refusal>(&v);
    message = refusal ? refusal->message : "";
    return refusal ? refusal->code : "";
  }
  std::string message;

 private:
  scheduler sched_;
  class_directory directory_;
};

constexpr const char* with_seed = R"(,"seed":1)";
constexpr const char* with_tools =
    R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}])";

TEST(class_directory, nobody_looks_where_all_lanes_take_everything) {
  directory d({lane_in("a"), lane_in("b")});
  EXPECT_EQ(std::get<class_choice>(d.verdict(with_seed)).features, all_features);
}

TEST(class_directory, what_a_prompt_asks_for_is_noted_where_it_matters) {
  directory d({lane_in("a", seed), lane_in("b")});
  EXPECT_EQ(std::get<class_choice>(d.verdict(with_seed)).features, prompt_features(seed));
  EXPECT_EQ(std::get<class_choice>(d.verdict("")).features, prompt_features());
}

TEST(class_directory, a_prompt_no_lane_can_take_is_refused_with_what_it_asks_for) {
  directory d({lane_in("a", seed), lane_in("b", tools)});
  EXPECT_EQ(d.code(with_seed), "");
  EXPECT_EQ(d.code(with_tools), "");
  EXPECT_EQ(d.code(std::string(with_seed) + with_tools), "unmappable");
  EXPECT_THAT(d.message, HasSubstr("tools, seed"));

  job_config dropping;
  dropping.routes.unmappable = unmappable_policy::drop;
  directory drops({lane_in("a", seed), lane_in("b", tools)}, dropping);
  EXPECT_EQ(drops.code(std::string(with_seed) + with_tools), "");
}

TEST(class_directory, a_budget_looks_at_all_and_refuses_input_it_cannot_bound) {
  constexpr const char* hosted = R"(,"tools":[{"type":"web_search"}])";
  directory uncapped({lane_in("a")});
  EXPECT_EQ(uncapped.code(hosted), "");
  job_config job;
  job.budget = nano_usd(1);
  directory d({lane_in("a")}, job);
  EXPECT_EQ(d.code(hosted), "unbounded_input");
  EXPECT_THAT(d.message, HasSubstr("tools[].web_search"));
  EXPECT_EQ(d.code(with_tools), "");
  EXPECT_EQ(std::get<class_choice>(d.verdict("")).features, prompt_features());
  EXPECT_TRUE(std::get<class_choice>(d.verdict(with_tools)).features.has(tools));
}

TEST(class_directory, lanes_outside_the_policy_do_not_count) {
  job_config job;
  job.routes.deny_pools = {"b"};
  directory d({lane_in("a", tools), lane_in("b")}, job);
  EXPECT_EQ(d.code(with_tools), "unmappable");
  job.routes.deny_pools = {"a", "b"};
  directory none({lane_in("a", tools), lane_in("b")}, job);
  EXPECT_EQ(none.code(""), "no_eligible_lane");
}

TEST(class_directory, an_endpoint_no_lane_serves_is_refused) {
  auto l = lane_in("a");
  l.takes[static_cast<std::size_t>(endpoint_kind::embeddings)].serves = false;
  directory d({l});
  EXPECT_EQ(d.code("", "m", endpoint_kind::embeddings), "unmappable");
  EXPECT_THAT(d.message, HasSubstr("/v1/embeddings"));
  EXPECT_EQ(d.code("", "m", endpoint_kind::responses), "");
}

TEST(class_directory, embeddings_need_lanes_that_agree_in_their_model) {
  auto a = lane_in("a"), b = lane_in("b");
  b.config.as = "prod";
  directory d({a, b});
  EXPECT_EQ(d.code("", "m", endpoint_kind::embeddings), "ambiguous_embedding_model");
  EXPECT_THAT(d.message, HasSubstr("a/m and b/prod"));
  EXPECT_EQ(d.code(""), "") << "other endpoints mix them";
  b.config.embedding_model = "m";
  EXPECT_EQ(directory({a, b}).code("", "m", endpoint_kind::embeddings), "");
}

TEST(class_directory, aliases_stand_for_models) {
  job_config job;
  job.routes.models = {{"fast", "m"}, {"lost", "q"}};
  directory d({lane_in("a")}, job);
  EXPECT_EQ(std::get<class_choice>(d.verdict("", "fast")).cls,
            std::get<class_choice>(d.verdict("", "m")).cls);
  EXPECT_EQ(d.code("", "lost"), "unknown_model");
}

}  // namespace
}  // namespace spillway
