// Prompts that not every lane of their model can take.
#include "tests/unit/scheduler_harness.hpp"

#include <gtest/gtest.h>

namespace spillway::scheduling {
namespace {

using enum prompt_feature;

lane_setup limited(lane_setup l, prompt_features unmappable) {
  for (auto& fit : l.takes) fit.unmappable = unmappable;
  return l;
}

struct routed {
  explicit routed(std::vector<lane_setup> lanes, job_config job = {}, one_job s = {})
      : w(std::move(lanes), with(std::move(s), std::move(job))) {}
  static one_job with(one_job s, job_config job) {
    job.order = job.order == lane_order::cost ? lane_order::as_listed : job.order;
    s.job = std::move(job);
    return s;
  }
  void queue(std::uint32_t shard, const std::vector<prompt_features>& asked) {
    shard_loaded s{shard_id(shard), reading::first, {}, partition_id(0)};
    for (std::uint32_t i = 0; i < asked.size(); ++i) {
      s.prompts.push_back(w.prompt_at(position(shard_id(shard), i).value()));
      s.prompts.back().features = asked[i];
    }
    w.next.shards.push_back(std::move(s));
  }
  /// Lane by prompt of the last tick's sends.
  std::map<std::uint32_t, std::uint32_t> lanes() {
    std::map<std::uint32_t, std::uint32_t> out;
    for (const auto& s : w.actions.sends)
      out[s.prompt->what.where.index()] = s.prompt->lane.value();
    return out;
  }
  world w;
};

using lanes_by_prompt = std::map<std::uint32_t, std::uint32_t>;

TEST(scheduler_routes, prompts_go_to_the_first_lane_that_maps_them) {
  routed r({limited(lane_of("a"), tools | seed), limited(lane_of("b"), tools), lane_of("c")});
  r.queue(0, {{}, seed, tools, tools | seed, stop});
  r.w.tick();
  EXPECT_EQ(r.lanes(), (lanes_by_prompt{{0, 0}, {1, 1}, {2, 2}, {3, 2}, {4, 0}}));
}

TEST(scheduler_routes, what_nobody_looked_at_goes_only_where_everything_does) {
  routed r({limited(lane_of("a"), seed), lane_of("b")});
  r.queue(0, {all_features});
  r.w.tick();
  EXPECT_EQ(r.lanes(), (lanes_by_prompt{{0, 1}}));
}

/// A lane that refuses the form of all it is asked, and one that answers.
outcome form_refused() {
  auto o = rejected();
  o.form_refused = true;
  return o;
}

TEST(scheduler_routes, a_lane_that_refuses_everything_is_stopped_for_another) {
  world w({lane_of("a"), lane_of("b")}, routed::with({}, {}));
  w.queue(0, 200);
  w.next.input_read = true;
  std::map<std::uint32_t, int> asked;
  const auto stop = w.run([&](const open_call& c) {
    ++asked[c.lane.value()];
    return c.lane == lane_id(0) ? form_refused() : answered();
  });
  EXPECT_EQ(stop, stop_cause::finished);
  EXPECT_GE(asked[0], 20);
  EXPECT_LE(asked[0], 20 + w.sched.lane_at(lane_id(0)).slots()) << "and what was out with them";
  EXPECT_EQ(w.totals(0).rejected, asked[0]);
  EXPECT_EQ(w.totals(1).answered, 200 - asked[0]);
}

TEST(scheduler_routes, the_only_lane_goes_on_refusing) {
  world w({lane_of("a")});
  w.queue(0, 100);
  w.next.input_read = true;
  EXPECT_EQ(w.run([](const open_call&) { return form_refused(); }), stop_cause::finished);
  EXPECT_EQ(w.totals(0).rejected, 100);
}

TEST(scheduler_routes, refusals_between_answers_stop_nothing) {
  world w({lane_of("a"), lane_of("b")}, routed::with({}, {}));
  w.queue(0, 200);
  w.next.input_read = true;
  int n = 0;
  EXPECT_EQ(w.run([&](const open_call&) { return ++n % 15 == 0 ? answered() : form_refused(); }),
            stop_cause::finished);
  EXPECT_TRUE(w.sched.lane_at(lane_id(0)).usable());
}

TEST(scheduler_routes, a_restricted_prompt_waits_for_its_lane_and_never_spills) {
  auto full = places_of("b", 2);
  routed r({limited(lane_of("a"), tools), full});
  r.queue(0, std::vector<prompt_features>(6, tools));
  r.w.tick();
  EXPECT_EQ(r.w.sends_by_lane()[0], 0);
  const auto first = r.w.actions.sends.size();
  EXPECT_LT(first, 6u);
  std::size_t sent = first;
  for (int i = 0; i < 10; ++i) {
    r.w.end_all(answered());
    sent += r.w.tick(10ms).sends.size();
  }
  EXPECT_EQ(sent, 6u);
  EXPECT_EQ(r.w.totals(0).calls, 0);
}

TEST(scheduler_routes, droppable_features_do_not_restrict_where_the_policy_drops) {
  job_config job;
  job.routes.unmappable = unmappable_policy::drop;
  routed r({limited(lane_of("a"), tools | seed), lane_of("b")}, job);
  r.queue(0, {seed, tools, {}});
  r.w.tick();
  EXPECT_EQ(r.lanes(), (lanes_by_prompt{{0, 0}, {1, 1}, {2, 0}}));
}

TEST(scheduler_routes, lanes_that_do_not_serve_the_endpoint_take_nothing) {
  auto a = lane_of("a");
  a.takes[static_cast<std::size_t>(endpoint_kind::chat_completions)].serves = false;
  routed r({a, lane_of("b")});
  r.queue(0, {{}});
  r.w.tick();
  EXPECT_EQ(r.lanes(), (lanes_by_prompt{{0, 1}}));
}

TEST(scheduler_routes, embeddings_never_change_their_model) {
  auto a = places_of("a", 2), b = lane_of("b"), c = lane_of("c");
  a.config.as = "ada";
  b.config.as = "text-3";
  c.config.as = "prod";
  c.config.embedding_model = "ada";
  routed r({a, b, c});
  shard_loaded s{shard_id(0), reading::first, {}, partition_id(0)};
  for (std::uint32_t i = 0; i < 20; ++i) {
    auto p = r.w.prompt_at(i);
    p.cls = r.w.sched.class_for(job_zero, "m", endpoint_kind::embeddings).value();
    p.endpoint = endpoint_kind::embeddings;
    s.prompts.push_back(std::move(p));
  }
  r.w.next.shards.push_back(std::move(s));
  r.w.tick();
  EXPECT_EQ(r.w.totals(1).calls, 0);
  EXPECT_GT(r.w.totals(2).calls, 0);
  EXPECT_EQ(r.w.actions.sends.size(), 20u);
  const auto refused = r.w.sched.refused_routes(job_zero);
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].pool, "b");
  EXPECT_EQ(refused[0].why, route_refusal::embedding_model);
}

TEST(scheduler_routes, refused_routes_are_counted_with_their_reasons) {
  job_config job;
  job.routes.deny_pools = {"c"};
  routed r({limited(lane_of("a"), tools), lane_of("b"), lane_of("c")}, job);
  r.queue(0, {tools, tools, {}});
  r.w.tick();
  std::map<std::string, std::int64_t> kept_off;
  for (const auto& route : r.w.sched.refused_routes(job_zero)) {
    kept_off[route.pool + " " + name_of(route.why)] += route.prompts;
    if (route.why == route_refusal::unmappable) {
      EXPECT_EQ(route.features, prompt_features(tools));
    }
  }
  EXPECT_EQ(kept_off, (std::map<std::string, std::int64_t>{{"a unmappable", 2}, {"c denied", 3}}));
}

TEST(scheduler_routes, kinds_of_prompts_are_bounded) {
  std::vector<lane_setup> lanes;
  const prompt_feature each[] = {tools,   image_data,  image_url,   audio,      file_input,
                                 choices, json_object, json_schema, tool_choice};
  for (std::size_t i = 0; i < std::size(each); ++i)
    lanes.push_back(limited(lane_of(std::string(1, static_cast<char>('a' + i))), each[i]));
  routed r(lanes);
  std::vector<prompt_features> asked;
  for (unsigned bits = 1; bits + 1 < (1u << std::size(each)); ++bits) {
    prompt_features f;
    for (unsigned i = 0; i < std::size(each); ++i)
      if ((bits >> i) & 1) f |= each[i];
    asked.push_back(f);
  }
  ASSERT_GT(asked.size(), 500u);
  r.queue(0, asked);
  r.w.tick();
  ASSERT_EQ(r.w.actions.sends.size(), asked.size()) << "all of them have a lane";
  for (const auto& s : r.w.actions.sends)
    EXPECT_TRUE(
        (s.prompt->what.features & r.w.sched.lane_at(s.prompt->lane).setup().takes[0].unmappable)
            .empty());
  EXPECT_LE(r.w.sched.refused_routes(job_zero).size(), (64 + 9) * 9u);
}

TEST(scheduler_routes, a_job_whose_only_lane_is_down_waits_and_says_why) {
  auto inside = lane_of("a"), outside = lane_of("b");
  inside.config.residency = {"eu"};
  outside.config.residency = {"us"};
  job_config job;
  job.residency = std::vector<std::string>{"eu"};
  routed r({inside, outside}, job);
  r.queue(0, std::vector<prompt_features>(3));
  r.w.next.input_read = true;
  EXPECT_EQ(r.w.run([](const open_call&) { return lane_down(down_cause::auth); }),
            stop_cause::stalled);
  EXPECT_GE(r.w.now - start, 10min);
  EXPECT_NE(r.w.actions.stop_reason.find("a/m: auth"), std::string::npos)
      << r.w.actions.stop_reason;
  EXPECT_EQ(r.w.totals(1).calls, 0);
  EXPECT_GT(r.w.totals(0).calls, 5) << "probed all the time";
  EXPECT_TRUE(r.w.finished.empty());
}

/// A configuration read anew: what is in memory finds its lanes again.
TEST(scheduler_routes, prompts_in_memory_find_lanes_that_came_later) {
  one_job s;
  s.features_of = [](const prompt& p) -> prompt_features {
    return p.where.index() % 2 == 0 ? prompt_features(tools) : prompt_features();
  };
  routed r({lane_of("a")}, {}, s);
  r.w.sched.set_lanes({places_of("a", 2)}, r.w.now);
  r.queue(0, std::vector<prompt_features>(10, all_features));
  r.w.tick();
  ASSERT_LT(r.w.actions.sends.size(), 10u);
  r.w.end_all(failed());
  r.w.tick(1ms);
  // The old lane is gone; of the new ones, one does not take tools.
  r.w.sched.set_lanes({limited(lane_of("b"), tools), lane_of("c")}, r.w.now);
  std::map<std::uint32_t, std::uint32_t> lanes;
  for (int i = 0; i < 100; ++i) {
    r.w.tick(100ms);
    for (const auto& send : r.w.actions.sends)
      lanes[send.prompt->what.where.index()] = send.prompt->lane.value();
    r.w.end_all(answered());
  }
  ASSERT_EQ(r.w.finished.size(), 10u);
  for (const auto& [index, lane] : lanes)
    if (index % 2 == 0) {
      EXPECT_EQ(lane, 2u) << index;
    }
  EXPECT_GT(r.w.totals(1).answered, 0);
}

}  // namespace
}  // namespace spillway::scheduling
