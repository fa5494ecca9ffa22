// /metrics: names, labels and numbers of the exposition, and the counters behind it.
#include "orchestrator/service/metrics.hpp"
#include "orchestrator/service/lane_meter.hpp"
#include "tests/support/sample_metrics.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <map>
#include <regex>
#include <set>
#include <sstream>

namespace spillway::service {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

/// A page taken apart: type by family, value by series (name and labels as written).
struct read_page {
  std::map<std::string, std::string> type, help;
  std::map<std::string, std::string> value;
  std::size_t lines = 0;
};

read_page read(const std::string& text) {
  read_page out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::smatch m;
    if (std::regex_match(line, m, std::regex("# (TYPE|HELP) (\\w+) (.+)"))) {
      (m[1] == "TYPE" ? out.type : out.help)[m[2]] = m[3];
    } else {
      const auto space = line.rfind(' ');
      const bool is_new = out.value.emplace(line.substr(0, space), line.substr(space + 1)).second;
      EXPECT_TRUE(is_new) << "twice: " << line;
      ++out.lines;
    }
  }
  return out;
}

std::string sample_page() {
  return metrics_page(test::sample_member(), test::sample_process(), 3ms);
}

std::string of(const read_page& page, const std::string& series) {
  const auto found = page.value.find(series);
  return found == page.value.end() ? "absent" : found->second;
}

const std::string lane = R"({pool="azure-eastus",lane="standard",model="gpt-5.4-mini")";

TEST(metrics, every_family_has_a_type_a_help_text_and_a_conventional_name) {
  const auto page = read(sample_page());
  EXPECT_GT(page.type.size(), 50u);
  for (const auto& [name, type] : page.type) {
    EXPECT_TRUE(page.help.contains(name)) << name;
    EXPECT_TRUE(name.starts_with("spillway_") || name.starts_with("process_")) << name;
    EXPECT_EQ(type == "counter", name.ends_with("_total")) << name << " is a " << type;
  }
  for (const auto& [series, value] : page.value) {
    std::string family = series.substr(0, series.find('{'));
    for (const char* suffix : {"_bucket", "_sum", "_count"})
      if (const std::string end = suffix; family.ends_with(end) && !page.type.contains(family))
        family.resize(family.size() - end.size());
    EXPECT_TRUE(page.type.contains(family)) << series;
  }
}

TEST(metrics, numbers_arrive_in_base_units) {
  const auto page = read(sample_page());
  EXPECT_EQ(of(page, "process_resident_memory_bytes"), "123456789");
  EXPECT_EQ(of(page, "process_cpu_seconds_total"), "12.34");
  EXPECT_EQ(of(page, "process_start_time_seconds"), "1750000000");
  EXPECT_EQ(of(page, "spillway_engine_tick_age_seconds"), "0.003");
  EXPECT_EQ(of(page, "spillway_lane_calls_total" + lane + "}"), "1200");
  EXPECT_EQ(of(page, "spillway_lane_cost_usd_total" + lane + "}"), "1.25");
  EXPECT_EQ(of(page, "spillway_lane_request_quota_used_ratio" + lane + "}"), "0.985");
  EXPECT_EQ(of(page, R"(spillway_job_settled_usd{job="nightly",tenant="research"})"), "0.5");
  EXPECT_EQ(of(page, R"(spillway_partition_readback_lag_seconds{partition="1"})"), "0.25");
  EXPECT_EQ(of(page, R"(spillway_config_reloads_total{result="failed"})"), "1");
  EXPECT_EQ(of(page, R"(spillway_partition_readback_pending_bytes{partition="1"})"), "2048");
  EXPECT_EQ(of(page, "spillway_stored_intents_total"), "1200");
  EXPECT_EQ(of(page, "spillway_stored_results_total"), "1003");
  EXPECT_EQ(of(page, "spillway_snapshots_total"), "9");
  EXPECT_EQ(of(page, "spillway_late_answers_sent_total"), "6");
  EXPECT_EQ(of(page, "spillway_quarantined_prompts_total"), "1");
  EXPECT_EQ(of(page, R"(spillway_dead_letters_total{code="unknown_job"})"), "2");
  EXPECT_EQ(of(page, R"(spillway_broker_errors_total{kind="unreachable"})"), "4");
}

TEST(metrics, large_counters_keep_their_digits) {
  auto m = test::sample_member();
  m.lanes[0].now.totals.input = tokens(123'456'789'012'345);
  const auto page = read(metrics_page(m, {}, {}));
  EXPECT_EQ(of(page, "spillway_lane_input_tokens_total" + lane + "}"), "123456789012345");
}

TEST(metrics, states_are_sets_with_a_single_one) {
  const auto page = read(sample_page());
  std::map<std::string, int> ones;
  for (const auto& [series, value] : page.value) {
    if (!series.starts_with("spillway_lane_health{")) continue;
    EXPECT_TRUE(value == "0" || value == "1") << series;
    ones[series.substr(0, series.find(",health"))] += value == "1";
  }
  EXPECT_EQ(ones.size(), 2u);
  for (const auto& [which, n] : ones) EXPECT_EQ(n, 1) << which;
  const std::string down = R"({pool="onprem-a100",lane="standard",model="gpt-5.4-mini"})";
  EXPECT_EQ(of(page, "spillway_lane_down_since_seconds" + down), "1789999000");
  EXPECT_EQ(of(page, "spillway_lane_resumes_in_seconds" + down), "15");
  EXPECT_EQ(of(page, R"(spillway_lane_health{pool="onprem-a100",lane="standard",)"
                     R"(model="gpt-5.4-mini",health="down-auth"})"),
            "1");
  EXPECT_EQ(of(page, R"(spillway_member_state{state="running"})"), "1");
  EXPECT_EQ(of(page, R"(spillway_member_state{state="draining"})"), "0");
  EXPECT_EQ(of(page, R"(spillway_partitions{state="active"})"), "3");
}

TEST(metrics, absent_values_have_no_series) {
  const auto page = read(sample_page());
  EXPECT_EQ(of(page, R"(spillway_partition_lag_prompts{partition="0"})"), "absent");
  EXPECT_EQ(of(page, R"(spillway_partition_lag_prompts{partition="1"})"), "5120");
  auto m = test::sample_member();
  m.index.reset();
  m.lanes.clear();
  const std::string text = metrics_page(m, {}, {});
  EXPECT_THAT(text, Not(HasSubstr("spillway_index_")));
  EXPECT_THAT(text, Not(HasSubstr("spillway_lane_"))) << "no family without a series";
}

TEST(metrics, the_histogram_is_cumulative_and_its_sum_is_near) {
  const auto page = read(sample_page());
  const std::string name = "spillway_lane_call_duration_seconds";
  std::map<double, std::int64_t> buckets;
  for (const auto& [series, value] : page.value) {
    if (!series.starts_with(name + "_bucket" + lane)) continue;
    const auto at = series.find("le=\"") + 4;
    buckets[std::stod(series.substr(at))] = std::stoll(value);  // "+Inf" reads as infinity
  }
  ASSERT_EQ(buckets.size(), 24u);
  std::int64_t before = 0;
  for (const auto& [bound, n] : buckets) {
    EXPECT_GE(n, before) << bound;
    before = n;
  }
  // Calls of 100 to 1099 ms, one each: 128 ms and 1024 ms are bounds of the internal buckets.
  EXPECT_EQ(buckets[0.064], 0);
  EXPECT_EQ(buckets[0.128], 28);
  EXPECT_EQ(buckets[1.024], 924);
  EXPECT_EQ(before, 1000);
  EXPECT_EQ(of(page, name + "_count" + lane + "}"), "1000");
  EXPECT_NEAR(std::stod(of(page, name + "_sum" + lane + "}")), 599.5, 599.5 * 0.03);
}

TEST(metrics, what_is_longer_than_the_last_bucket_is_only_in_infinity) {
  auto m = test::sample_member();
  m.lanes.resize(1);
  m.lanes[0].now.totals.latency = {};
  m.lanes[0].now.totals.latency.add(std::chrono::hours(100));
  const auto page = read(metrics_page(m, {}, {}));
  const std::string name = "spillway_lane_call_duration_seconds_bucket" + lane;
  EXPECT_EQ(of(page, name + R"(,le="8388.608"})"), "0");
  EXPECT_EQ(of(page, name + R"(,le="+Inf"})"), "1");
}

TEST(metrics, labels_are_escaped_and_valid_utf8) {
  auto m = test::sample_member();
  m.jobs = {test::sample_job("a\"b\\c\nd\xff\xc3\xa9")};
  const auto page = read(metrics_page(m, {}, {}));
  EXPECT_EQ(of(page,
               "spillway_job_prompts{job=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\","
               "tenant=\"research\"}"),
            "100");
}

TEST(metrics, the_number_of_jobs_does_not_bound_the_page) {
  auto m = test::sample_member();
  m.jobs.clear();
  for (std::size_t i = 0; i < jobs_shown_max + 5; ++i)
    m.jobs.push_back(test::sample_job("job-" + std::to_string(i)));
  m.jobs[0].finished = true;
  const auto page = read(metrics_page(m, {}, {}));
  const auto prompts = [&](const std::string& job) {
    return of(page, "spillway_job_prompts{job=\"" + job + "\",tenant=\"" +
                        (job.empty() ? "" : "research") + "\"}");
  };
  EXPECT_EQ(prompts("job-0"), "absent");
  EXPECT_EQ(prompts("job-1"), "100");
  EXPECT_EQ(prompts("job-" + std::to_string(jobs_shown_max)), "100");
  EXPECT_EQ(prompts("job-" + std::to_string(jobs_shown_max + 1)), "absent");
  EXPECT_EQ(prompts(""), "400") << "four jobs in one";
  EXPECT_EQ(of(page, R"(spillway_jobs{condition="running"})"), std::to_string(jobs_shown_max + 4));
}

named_totals totals(std::int64_t calls, double usd) {
  named_totals t{.pool = "p", .lane = "l", .model = "m", .totals = {}};
  t.totals.calls = calls;
  t.totals.settled = from_usd(usd);
  t.totals.latency.count[3] = calls;
  return t;
}

constexpr totals_source first{partition_id(1), job_number(1)},
    second{partition_id(2), job_number(1)};

TEST(lane_meter, counts_what_this_process_did) {
  lane_meter meter;
  const std::vector before = {totals(1'000'000, 50)};
  meter.begin(first, before);
  EXPECT_EQ(meter.of("p", "l", "m").calls, 0) << "done by a former owner";
  meter.update(first, std::vector{totals(1'000'010, 51)});
  meter.update(first, std::vector{totals(1'000'010, 51)});
  meter.update(second, std::vector{totals(5, 0.5)});
  const auto counted = meter.of("p", "l", "m");
  EXPECT_EQ(counted.calls, 15);
  EXPECT_EQ(counted.settled, from_usd(1.5));
  EXPECT_EQ(counted.latency.count[3], 15);
  EXPECT_EQ(meter.of("p", "l", "other").calls, 0);
}

TEST(lane_meter, never_goes_down) {
  lane_meter meter;
  meter.update(first, std::vector{totals(10, 1)});
  meter.end(first.partition);
  EXPECT_EQ(meter.of("p", "l", "m").calls, 10);
  meter.begin(first, std::vector{totals(25, 2)});
  meter.update(first, std::vector{totals(26, 2)});
  EXPECT_EQ(meter.of("p", "l", "m").calls, 11) << "another owner made the calls in between";
  meter.update(first, std::vector{totals(20, 2)});
  EXPECT_EQ(meter.of("p", "l", "m").calls, 11);
  meter.update(first, std::vector{totals(21, 2)});
  EXPECT_EQ(meter.of("p", "l", "m").calls, 12);
  meter.end(first.job);
  EXPECT_EQ(meter.of("p", "l", "m").calls, 12);
}

TEST(process_stats, tell_of_this_process) {
  const auto before = read_process_stats();
  EXPECT_GT(before.resident_bytes, 1 << 20);
  EXPECT_GT(before.virtual_bytes, before.resident_bytes);
  EXPECT_GE(before.threads, 1);
  EXPECT_GT(before.open_fds, 0);
  EXPECT_GE(before.max_fds, before.open_fds);
  const time_point now = std::chrono::system_clock::now();
  EXPECT_LT(before.started, now + 2s) << "the boot time is known to the second";
  EXPECT_GT(before.started, now - 1h);
  const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(read_process_stats().open_fds, before.open_fds + 1);
  ::close(fd);
}

}  // namespace
}  // namespace spillway::service
