// A plan as people and as programs read it.
#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/plan_report.hpp"

#include <boost/json/array.hpp>

#include <algorithm>
#include <cmath>

namespace spillway {

namespace json = boost::json;

namespace {

std::int64_t whole(double n) { return std::llround(n); }

/// Rows of columns, the first left-aligned, the others right; the last as it
/// is.
std::string aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i > 0) line += "  ";
      if (i == 0)
        line += padded_right(row[i], widths[i]);
      else
        line += i + 1 == widths.size() ? row[i] : padded_left(row[i], widths[i]);
    }
    while (line.ends_with(' ')) line.pop_back();
    text += line + "\n";
  }
  return text;
}

std::string reasons(const std::map<std::string, std::int64_t>& refused) {
  std::string text;
  for (const auto& [why, count] : refused)
    text += (text.empty() ? "" : "; ") + grouped(count) + " not (" + printable(why) + ")";
  return text;
}

std::string model_table(const plan_report& r) {
  std::vector<std::vector<std::string>> rows{
      {"Model", "Prompts", "Input tokens", "Max output", "No limit", ""}};
  for (const auto& [name, m] : r.models)
    rows.push_back({clipped(printable(name), 40), grouped(m.prompts), "~" + grouped(whole(m.input)),
                    grouped(m.max_output.count()), grouped(m.unbounded), reasons(m.refused)});
  return aligned(rows);
}

std::string lane_table(const plan_report& r) {
  std::vector<std::vector<std::string>> rows{
      {"Lane", "Takes", "At most", "Expected", "Alone", "Split", "Cost", ""}};
  for (const auto& lane : r.lanes) {
    const auto money = [&](nano_usd n) { return lane.priced ? usd(n) : std::string("?"); };
    std::vector<std::string> row{clipped(printable(lane.pool + "/" + lane.lane), 40),
                                 grouped(lane.eligible)};
    if (lane.eligible == 0) {
      row.insert(row.end(), {"", "", "", "", ""});
    } else {
      row.insert(row.end(), {money(lane.bound), money(lane.expected),
                             lane.alone ? brief(*lane.alone) : "never", grouped(lane.split),
                             money(lane.split_cost)});
    }
    row.push_back(reasons(lane.refused));
    rows.push_back(std::move(row));
  }
  return aligned(rows);
}

std::string verdict(const plan_report& r) {
  if (r.sent == 0) return "No lane takes any of the prompts.\n";
  std::string text = grouped(r.sent) + " of " + grouped(r.prompts) + " prompts are taken. ";
  text += r.finish ? "Finished in about " + brief(*r.finish) + "."
                   : std::string(
                         "Some would wait for ever: a day's quota is "
                         "too small for them.");
  if (r.priced) {
    text += "\nCost: about " + usd(r.expected) + ", at most " + usd(r.bound) + ".";
    if (r.budget) {
      text += " Budget " + usd(*r.budget) + ": ";
      if (r.bound <= *r.budget)
        text += "enough whatever happens.";
      else if (r.expected <= *r.budget)
        text += "enough if answers are as long as expected.";
      else
        text += "not enough; the run would stop and wait for more.";
    }
  } else {
    text += "\nCost: unknown; lanes without a price are shown as ?.";
  }
  return text + "\n";
}

json::object counts_of(const std::map<std::string, std::int64_t>& refused) {
  json::object out;
  for (const auto& [why, count] : refused) out[why] = count;
  return out;
}

}  // namespace

std::string render(const plan_report& r) {
  std::string text = model_table(r) + "\n" + lane_table(r) + "\n" + verdict(r);
  if (r.bad > 0) {
    text += "\n" + grouped(r.bad) +
            (r.bad == 1 ? " bad line would become an error row:\n"
                        : " bad lines would become error rows:\n");
    for (const auto& line : r.bad_shown) text += "  " + printable(line) + "\n";
    if (static_cast<std::size_t>(r.bad) > r.bad_shown.size())
      text +=
          "  … and " + grouped(r.bad - static_cast<std::int64_t>(r.bad_shown.size())) + " more\n";
  }
  return text;
}

json::object to_json(const plan_report& r) {
  json::object out{{"prompts", r.prompts}, {"taken", r.sent}, {"bad_lines", r.bad}};
  json::array bad;
  for (const auto& line : r.bad_shown) bad.emplace_back(line);
  out["bad_shown"] = std::move(bad);
  if (r.finish) out["finish_s"] = seconds_of(*r.finish);
  if (r.priced) {
    out["cost_usd"] = to_usd(r.expected);
    out["cost_max_usd"] = to_usd(r.bound);
  }
  if (r.budget) out["budget_usd"] = to_usd(*r.budget);
  json::array models;
  for (const auto& [name, m] : r.models) {
    models.push_back(json::object{{"model", name},
                                  {"prompts", m.prompts},
                                  {"input_tokens", whole(m.input)},
                                  {"max_output_tokens", m.max_output.count()},
                                  {"without_limit", m.unbounded},
                                  {"refused", counts_of(m.refused)}});
  }
  out["models"] = std::move(models);
  json::array lanes;
  for (const auto& lane : r.lanes) {
    json::object one{{"pool", lane.pool},           {"lane", lane.lane},
                     {"model", lane.model},         {"eligible", lane.eligible},
                     {"split_prompts", lane.split}, {"refused", counts_of(lane.refused)}};
    if (lane.priced) {
      one["cost_max_usd"] = to_usd(lane.bound);
      one["cost_usd"] = to_usd(lane.expected);
      one["split_cost_usd"] = to_usd(lane.split_cost);
    }
    if (lane.alone) one["alone_s"] = seconds_of(*lane.alone);
    lanes.push_back(std::move(one));
  }
  out["lanes"] = std::move(lanes);
  return out;
}

}  // namespace spillway
