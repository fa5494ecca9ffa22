#include "connectors/files/recovery.hpp"

#include <gtest/gtest.h>

namespace spillway {
namespace {

const std::vector<std::string> names{"in.jsonl", "more.jsonl"};

std::string row(std::uint64_t line, std::uint32_t attempts = 1,
                std::string_view file = "in.jsonl") {
  row_facts f;
  f.job = "job";
  f.file = file;
  f.line = line;
  f.custom_id_token = "\"x\"";
  f.attempts = attempts;
  f.usage = {true, tokens(30), tokens(4), tokens(7)};
  f.cost = nano_usd(450);
  if (attempts > 0) f.origin = {"pool", "lane", "", "m"};
  return make_row(f);
}

attempt_record open_send(std::uint64_t line, std::uint32_t file = 0) {
  attempt_record r;
  r.where = position::from_value(static_cast<std::uint32_t>(line - 1));
  r.file = file_id(file);
  r.line = line;
  r.in_flight = true;
  r.sends = 1;
  return r;
}
attempt_record ended_send(std::uint64_t line) {
  auto r = open_send(line);
  r.in_flight = false;
  return r;
}

const std::vector<attempt_record> attempts{open_send(1), open_send(2), ended_send(3),
                                           open_send(1, 1)};

struct surplus_case {
  const char* name;
  std::string surplus;
  bool errors_file;
  int adopted;  ///< -1: not ours
};

class plan_surplus_table : public testing::TestWithParam<surplus_case> {};

TEST_P(plan_surplus_table, decides) {
  const auto& [name, surplus, errors_file, adopted] = GetParam();
  const auto plan = plan_surplus(surplus, errors_file, "out.jsonl", attempts, names);
  ASSERT_EQ(plan.has_value(), adopted >= 0);
  if (!plan) {
    EXPECT_EQ(plan.error().kind, failure_kind::storage);
    EXPECT_NE(plan.error().message.find("out.jsonl"), std::string::npos);
    return;
  }
  EXPECT_EQ(plan->adopted.size(), static_cast<std::size_t>(adopted));
  std::size_t rows = 0;
  for (const char c : plan->keep) rows += c == '\n';
  EXPECT_EQ(rows, plan->adopted.size());
}

INSTANTIATE_TEST_SUITE_P(
    cases, plan_surplus_table,
    testing::Values(
        surplus_case{"nothing", "", false, 0},
        surplus_case{"answers_an_open_send", row(1), false, 1},
        surplus_case{"several", row(2) + row(1) + row(1, 1, "more.jsonl"), false, 3},
        surplus_case{"torn_only", row(1).substr(0, 100), false, 0},
        surplus_case{"torn_without_its_line_feed", row(2) + row(1).substr(0, row(1).size() - 1),
                     false, 1},
        surplus_case{"torn_foreign_text", row(2) + "hello", false, 1},
        surplus_case{"blank_lines_of_an_earlier_recovery", "\n\n" + row(1) + "\n\n\n", false, 1},
        surplus_case{"the_same_row_twice", row(1) + row(1), false, -1},
        surplus_case{"of_an_ended_send", row(3), false, -1},
        surplus_case{"of_a_line_never_sent", row(9), false, -1},
        surplus_case{"of_another_file", row(2, 1, "more.jsonl"), false, -1},
        surplus_case{"of_an_unknown_file", row(1, 1, "other.jsonl"), false, -1},
        surplus_case{"foreign_json", "{\"a\":1}\n", false, -1},
        surplus_case{"foreign_text", "hello\n", false, -1},
        surplus_case{"ours_then_foreign", row(1) + "hello\n", false, -1},
        surplus_case{"an_invalid_lines_row_among_results", row(9, 0), false, -1},
        surplus_case{"errors_answering_an_open_send", row(1), true, 1},
        surplus_case{"errors_of_invalid_lines_are_rebuilt", row(9, 0) + row(10, 0), true, 0},
        surplus_case{"errors_of_held_prompts_are_rebuilt", row(3, 2), true, 0},
        surplus_case{"errors_mixed", row(9, 0) + row(2) + row(3, 2), true, 1},
        surplus_case{"errors_of_a_line_never_sent", row(9, 2), true, -1},
        surplus_case{"errors_foreign", "[]\n", true, -1}),
    [](const auto& i) { return i.param.name; });

TEST(plan_surplus, keeps_rows_byte_for_byte_and_in_order) {
  const auto plan = plan_surplus(row(2) + "\n" + row(1) + "torn", false, "o", attempts, names);
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->keep, row(2) + row(1));
  ASSERT_EQ(plan->adopted.size(), 2u);
  EXPECT_EQ(plan->adopted[0].attempt.line, 2u);
  EXPECT_EQ(plan->adopted[1].attempt.where, position::from_value(0));
  EXPECT_EQ(plan->adopted[1].row.cost, nano_usd(450));
  EXPECT_EQ(plan->adopted[1].row.usage.output, tokens(7));
}

TEST(plan_surplus, cutting_anywhere_adopts_exactly_the_whole_rows) {
  const auto all = row(1) + row(2) + row(1, 1, "more.jsonl");
  for (std::size_t cut = 0; cut <= all.size(); ++cut) {
    const auto text = all.substr(0, cut);
    const auto plan = plan_surplus(text, false, "o", attempts, names);
    ASSERT_TRUE(plan.has_value()) << cut;
    const auto feed = text.rfind('\n');
    EXPECT_EQ(plan->keep, feed == std::string::npos ? "" : text.substr(0, feed + 1)) << cut;
  }
}

}  // namespace
}  // namespace spillway
