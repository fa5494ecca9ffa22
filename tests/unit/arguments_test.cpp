#include "orchestrator/cli/arguments.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;

parsed_arguments parse(std::vector<const char*> words) {
  words.insert(words.begin(), "spillway");
  return parse_arguments(static_cast<int>(words.size()), words.data());
}

TEST(arguments, run_with_every_flag) {
  const auto parsed = parse({"run",       "a.jsonl",
                             "b.jsonl",   "-o",
                             "out.jsonl", "-c",
                             "p.yaml",    "--job",
                             "j",         "--errors",
                             "e",         "--state",
                             "s",         "--overwrite",
                             "--strict",  "--budget",
                             "2.5",       "--order",
                             "as-listed", "--residency",
                             "eu,us",     "--in-doubt",
                             "hold",      "--max-attempts",
                             "3",         "--max-error-rate",
                             "0.1",       "--stall-timeout",
                             "5m",        "--max-line-bytes",
                             "4096",      "--drain-timeout",
                             "30s",       "--threads",
                             "2",         "--seed",
                             "7",         "--json",
                             "--quiet",   "--log-level",
                             "debug",     "--log-format",
                             "json"});
  const auto* o = std::get_if<run_options>(&parsed);
  ASSERT_NE(o, nullptr);
  EXPECT_THAT(o->inputs, ElementsAre("a.jsonl", "b.jsonl"));
  EXPECT_EQ(o->output, "out.jsonl");
  EXPECT_EQ(o->config, "p.yaml");
  EXPECT_EQ(o->job, "j");
  EXPECT_EQ(o->errors, "e");
  EXPECT_EQ(o->state, "s");
  EXPECT_TRUE(o->overwrite && o->strict && o->json && o->quiet);
  EXPECT_EQ(o->budget, from_usd(2.5));
  EXPECT_EQ(o->order, lane_order::as_listed);
  EXPECT_THAT(o->residency.value(), ElementsAre("eu", "us"));
  EXPECT_EQ(o->in_doubt, in_doubt_policy::hold);
  EXPECT_EQ(o->max_attempts, 3);
  EXPECT_EQ(o->max_error_rate, 0.1);
  EXPECT_EQ(o->stall_timeout, duration(5min));
  EXPECT_EQ(o->line_bytes_max, 4096u);
  EXPECT_EQ(o->drain_timeout, duration(30s));
  EXPECT_EQ(o->threads, 2u);
  EXPECT_EQ(o->seed, 7u);
  EXPECT_EQ(o->log_level, "debug");
  EXPECT_EQ(o->log_format, "json");
  EXPECT_EQ(o->command_line.front(), "spillway");
  EXPECT_EQ(o->command_line.back(), "json");
}

TEST(arguments, absent_flags_leave_the_configuration_alone) {
  const auto parsed = parse({"run", "a", "-o", "o", "-c", "c"});
  const auto* o = std::get_if<run_options>(&parsed);
  ASSERT_NE(o, nullptr);
  EXPECT_FALSE(o->budget || o->order || o->residency || o->in_doubt || o->max_attempts ||
               o->max_error_rate || o->stall_timeout || o->drain_timeout || o->line_bytes_max);
}

TEST(arguments, mistakes_exit_with_2_and_say_what_was_expected) {
  const struct {
    std::vector<const char*> extra;
    const char* message;
  } cases[] = {
      {{"--budget", "nan"}, "--budget: expected a number from 0"},
      {{"--budget", "-1"}, "--budget: expected a number from 0"},
      {{"--max-error-rate", "2"}, "--max-error-rate: expected a number from 0 to 1"},
      {{"--order", "speed"}, "--order: expected cost|latency|as-listed, found speed"},
      {{"--in-doubt", "query"}, "--in-doubt: expected resend|hold, found query"},
      {{"--residency", "eu,US"}, "--residency: expected lower-case names"},
      {{"--residency", ""}, "--residency: expected lower-case names"},
      {{"--stall-timeout", "5"}, "--stall-timeout: expected a duration"},
      {{"--drain-timeout", "0s"}, "--drain-timeout: expected a duration"},
      {{"--max-attempts", "0"}, "--max-attempts"},
      {{"--max-line-bytes", "1"}, "--max-line-bytes"},
      {{"--threads", "-1"}, "--threads"},
      {{"--log-level", "loud"}, "--log-level"},
  };
  for (const auto& c : cases) {
    std::vector<const char*> words{"run", "a", "-o", "o", "-c", "c"};
    words.insert(words.end(), c.extra.begin(), c.extra.end());
    testing::internal::CaptureStderr();
    const auto parsed = parse(words);
    const auto text = testing::internal::GetCapturedStderr();
    const auto* done = std::get_if<arguments_done>(&parsed);
    ASSERT_NE(done, nullptr) << c.message;
    EXPECT_EQ(done->exit_code, 2);
    EXPECT_THAT(text, HasSubstr(c.message));
    EXPECT_THAT(text, HasSubstr("See spillway run --help."));
  }
}

TEST(arguments, commands_are_required) {
  const std::vector<std::vector<const char*>> cases{
      {},         {"rum"},     {"run"}, {"run", "a", "-o", "o"}, {"run", "-o", "o", "-c", "c"},
      {"status"}, {"simulate"}};
  for (const auto& words : cases) {
    testing::internal::CaptureStderr();
    const auto parsed = parse(words);
    const auto text = testing::internal::GetCapturedStderr();
    const auto* done = std::get_if<arguments_done>(&parsed);
    ASSERT_NE(done, nullptr);
    EXPECT_EQ(done->exit_code, 2);
    EXPECT_THAT(text, HasSubstr("spillway: "));
  }
}

TEST(arguments, help_and_version_exit_with_0) {
  for (const std::vector<const char*>& words : std::vector<std::vector<const char*>>{
           {"--help"}, {"run", "--help"}, {"status", "--help"}, {"simulate", "--help"}}) {
    testing::internal::CaptureStdout();
    const auto parsed = parse(words);
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("Usage: spillway"));
    EXPECT_EQ(std::get<arguments_done>(parsed).exit_code, 0);
  }
  testing::internal::CaptureStdout();
  EXPECT_EQ(std::get<arguments_done>(parse({"--version"})).exit_code, 0);
  EXPECT_EQ(testing::internal::GetCapturedStdout().substr(0, 9), "spillway ");
}

TEST(arguments, the_other_commands) {
  const auto status = parse({"status", "-o", "out.jsonl", "--json"});
  EXPECT_EQ(std::get<status_options>(status).output, "out.jsonl");
  EXPECT_TRUE(std::get<status_options>(status).json);
  const auto simulate = parse({"simulate", "-c", "sim.yaml", "--ready-file", "r"});
  EXPECT_EQ(std::get<simulate_options>(simulate).config, "sim.yaml");
  EXPECT_EQ(std::get<simulate_options>(simulate).ready_file, "r");
}

template <class Options>
Options fleet(std::vector<const char*> words) {
  const auto parsed = parse(std::move(words));
  const auto* command = std::get_if<fleet_command>(&parsed);
  const auto* options = command ? std::get_if<Options>(command) : nullptr;
  EXPECT_NE(options, nullptr);
  return options ? *options : Options{};
}

TEST(arguments, submit_with_every_flag) {
  const auto o = fleet<submit_options>({"submit",
                                        "a",
                                        "b",
                                        "--job",
                                        "j",
                                        "-c",
                                        "f",
                                        "--tenant",
                                        "t",
                                        "--weight",
                                        "3",
                                        "--priority",
                                        "-1",
                                        "--lanes",
                                        "x,y/z",
                                        "--deadline",
                                        "2h",
                                        "--keep",
                                        "1d",
                                        "--budget",
                                        "2.5",
                                        "--order",
                                        "cost",
                                        "--residency",
                                        "eu",
                                        "--in-doubt",
                                        "hold",
                                        "--max-attempts",
                                        "2",
                                        "--max-error-rate",
                                        "0.5",
                                        "--stall-timeout",
                                        "1m",
                                        "--allow-invalid",
                                        "--max-line-bytes",
                                        "2048",
                                        "--threads",
                                        "2",
                                        "--json",
                                        "--quiet"});
  EXPECT_THAT(o.inputs, ElementsAre("a", "b"));
  EXPECT_EQ(o.job, "j");
  EXPECT_EQ(o.config, "f");
  EXPECT_TRUE(o.allow_invalid && o.json && o.quiet);
  EXPECT_EQ(o.line_bytes_max, 2048u);
  fleet_config config;
  config.job.weight = 7;
  config.job.tenant = "of the file";
  config.job.max_attempts = 9;
  const auto p = policy_of(o.policy, config, time_point(1h));
  EXPECT_EQ(p.tenant, "t");
  EXPECT_EQ(p.weight, 3);
  EXPECT_EQ(p.priority, -1);
  EXPECT_THAT(p.routes.lanes, ElementsAre("x", "y/z"));
  EXPECT_EQ(p.deadline, time_point(3h));
  EXPECT_EQ(p.keep, duration(24h));
  EXPECT_EQ(p.budget, from_usd(2.5));
  EXPECT_EQ(p.max_attempts, 2);
  const auto next =
      fleet<policy_options>({"policy", "j", "-c", "f", "--budget", "3", "--keep", "1h"});
  const auto changed = changed_policy(p, next.changes, time_point(2h));
  EXPECT_EQ(changed.budget, from_usd(3));
  EXPECT_EQ(changed.keep, duration(1h));
  EXPECT_EQ(changed.tenant, p.tenant) << "what is not named stays";
  EXPECT_EQ(changed.deadline, p.deadline);
  const auto of_file = policy_of({}, config, time_point{});
  EXPECT_EQ(of_file.weight, 7);
  EXPECT_EQ(of_file.tenant, "of the file");
  EXPECT_EQ(of_file.max_attempts, 9);
  EXPECT_FALSE(of_file.deadline);
}

TEST(arguments, commands_of_a_fleet) {
  EXPECT_EQ(fleet<topics_options>({"topics", "create", "-c", "f", "--partitions", "8"}).partitions,
            8);
  EXPECT_EQ(fleet<jobs_options>({"jobs", "-c", "f"}).action, jobs_options::what::list);
  EXPECT_EQ(fleet<jobs_options>({"jobs", "open", "j", "-c", "f", "--weight", "2"}).policy.weight,
            2);
  EXPECT_EQ(fleet<jobs_options>({"jobs", "close", "j", "-c", "f"}).action,
            jobs_options::what::close);
  EXPECT_TRUE(fleet<results_options>({"results", "j", "-o", "o", "-c", "f", "--follow"}).follow);
  EXPECT_EQ(fleet<errors_options>({"errors", "j", "-c", "f", "--limit", "0"}).limit, 0u);
  EXPECT_EQ(fleet<control_options>({"pause", "j", "-c", "f"}).kind, kafka::command_kind::pause);
  EXPECT_EQ(fleet<control_options>({"cancel", "j", "-c", "f"}).kind, kafka::command_kind::cancel);
  EXPECT_THAT(fleet<control_options>({"retry", "j", "-c", "f", "--code", "a", "--code", "b"}).codes,
              ElementsAre("a", "b"));
  EXPECT_THAT(fleet<dead_options>({"dead", "requeue", "3", "4", "-c", "f"}).offsets,
              ElementsAre(3, 4));
  const auto parsed = parse({"status", "j", "-c", "f", "--watch"});
  const auto* status = std::get_if<status_options>(&parsed);
  ASSERT_NE(status, nullptr);
  EXPECT_EQ(status->job, "j");
  EXPECT_TRUE(status->watch);
}

TEST(arguments, mistakes_in_commands_of_a_fleet) {
  const std::vector<std::vector<const char*>> cases = {
      {"submit", "a", "-c", "f"},
      {"submit", "a", "--job", "a/b", "-c", "f"},
      {"submit", "a", "--job", "j"},
      {"submit", "a", "--job", "j", "-c", "f", "--weight", "0"},
      {"topics"},
      {"jobs"},
      {"jobs", "open", "-c", "f"},
      {"results", "j", "-c", "f"},
      {"dead", "requeue", "-c", "f"},
      {"dead", "requeue", "1", "--all", "-c", "f"},
      {"status", "j"},
      {"status", "-o", "out", "-c", "f"},
      {"status", "--watch", "-c", "f"},
  };
  for (const auto& words : cases) {
    testing::internal::CaptureStderr();
    const auto parsed = parse(words);
    const auto text = testing::internal::GetCapturedStderr();
    const auto* done = std::get_if<arguments_done>(&parsed);
    ASSERT_NE(done, nullptr) << words[0];
    EXPECT_EQ(done->exit_code, 2);
    EXPECT_THAT(text, HasSubstr("--help"));
  }
}

}  // namespace
}  // namespace spillway
