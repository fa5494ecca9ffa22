#include "orchestrator/cli/cost_sheet.hpp"

#include "orchestrator/cli/fleet_view.hpp"
#include "orchestrator/cli/format.hpp"

#include <boost/json/array.hpp>

#include <cstdio>
#include <map>

namespace spillway {

namespace json = boost::json;

namespace {

constexpr const char* earlier = "earlier";

std::string day_name(std::int64_t day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  char text[32];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
  return text;
}

/// The days of one lane, and what they do not cover: records made before days
/// were counted, and days that are too long ago.
void add_days(std::map<std::string, cost_row>& rows, const lane_totals& t) {
  cost_row rest;
  rest.calls = t.calls;
  rest.settled = t.settled;
  for (const auto& d : t.by_day.days()) {
    auto& row = rows[day_name(d.day)];
    row.calls += d.calls;
    row.settled += d.settled;
    rest.calls -= d.calls;
    rest.settled -= d.settled;
  }
  if (rest.calls == 0 && rest.settled == nano_usd{}) return;
  auto& row = rows[""];
  row.calls += rest.calls;
  row.settled += rest.settled;
}

void add_totals(cost_row& row, const lane_totals& t) {
  row.calls += t.calls;
  row.answered += t.answered;
  row.input += t.input;
  row.cached += t.cached;
  row.output += t.output;
  row.settled += t.settled;
}

nano_usd total_of(const std::vector<job_costs>& jobs) {
  nano_usd sum;
  for (const auto& job : jobs)
    for (const auto& lane : job.lanes) sum += lane.totals.settled;
  return sum;
}

std::string header_of(cost_view view) {
  switch (view) {
    case cost_view::tenant: return "TENANT";
    case cost_view::job: return "JOB";
    case cost_view::lane: return "LANE";
    case cost_view::day: return "DAY (UTC)";
  }
  return "";
}

}  // namespace

const char* name_of(cost_view view) {
  switch (view) {
    case cost_view::tenant: return "tenant";
    case cost_view::job: return "job";
    case cost_view::lane: return "lane";
    case cost_view::day: return "day";
  }
  return "unknown";
}

std::vector<cost_row> cost_rows(const std::vector<job_costs>& jobs, cost_view view) {
  std::map<std::string, cost_row> rows;
  for (const auto& job : jobs)
    for (const auto& lane : job.lanes) {
      switch (view) {
        case cost_view::tenant: add_totals(rows[job.tenant], lane.totals); break;
        case cost_view::job: add_totals(rows[job.job], lane.totals); break;
        case cost_view::lane: add_totals(rows[lane.pool + "/" + lane.lane], lane.totals); break;
        case cost_view::day: add_days(rows, lane.totals); break;
      }
    }
  std::vector<cost_row> out;
  for (auto& [key, row] : rows) {
    row.key = key.empty() && view == cost_view::day ? earlier : key;
    out.push_back(std::move(row));
  }
  return out;
}

std::string cost_table(const std::vector<job_costs>& jobs, cost_view view) {
  const bool by_day = view == cost_view::day;
  std::vector<std::vector<std::string>> rows{{header_of(view), "CALLS"}};
  if (!by_day)
    for (const char* title : {"ANSWERED", "IN TOKENS", "CACHED", "OUT TOKENS", "A PROMPT"})
      rows[0].emplace_back(title);
  rows[0].emplace_back("COST");
  for (const auto& r : cost_rows(jobs, view)) {
    std::vector<std::string> row{r.key.empty() ? "(none)" : printable(r.key), grouped(r.calls)};
    if (!by_day) {
      row.insert(row.end(), {grouped(r.answered), compact(r.input.count()),
                             compact(r.cached.count()), compact(r.output.count()),
                             r.answered > 0 ? usd(nano_usd(r.settled.count() / r.answered)) : ""});
    }
    row.push_back(usd(r.settled));
    rows.push_back(std::move(row));
  }
  std::vector<std::size_t> right;
  for (std::size_t i = 1; i < rows[0].size(); ++i) right.push_back(i);
  return text_table(rows, right);
}

json::object cost_json(const std::vector<job_costs>& jobs, const std::vector<cost_view>& views) {
  json::object out{{"cost_usd", to_usd(total_of(jobs))}};
  for (const auto view : views) {
    json::array rows;
    for (const auto& r : cost_rows(jobs, view)) {
      json::object row{{name_of(view), r.key}, {"calls", r.calls}};
      if (view != cost_view::day) {
        row["answered"] = r.answered;
        row["input_tokens"] = r.input.count();
        row["cached_tokens"] = r.cached.count();
        row["output_tokens"] = r.output.count();
      }
      row["cost_usd"] = to_usd(r.settled);
      rows.push_back(std::move(row));
    }
    out[std::string(name_of(view)) + "s"] = std::move(rows);
  }
  return out;
}

}  // namespace spillway
