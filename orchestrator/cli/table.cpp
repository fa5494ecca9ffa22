#include "orchestrator/cli/table.hpp"

#include "orchestrator/cli/format.hpp"
#include "orchestrator/cli/progress.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace spillway {

namespace {

constexpr std::size_t columns_count = 14;
using row = std::array<std::string, columns_count>;

const row headings{"pool/lane", "prompts", "in", "cached", "out",     "cost",   "p50",
                   "p95",       "429s",    "in", "out",    "retries", "billed", "failed"};

/// A heading over several columns, `last` included; ends where they end.
struct span {
  std::string_view text;
  std::size_t last;
};
constexpr span spans[] = {{"tokens", 4}, {"latency", 7}, {"spilled", 10}, {"maybe", 12}};

lane_totals sum_of(const std::vector<lane_progress>& lanes) {
  lane_totals sum;
  for (const auto& lane : lanes) {
    const auto& t = lane.totals;
    sum.answered += t.answered;
    sum.refused_429 += t.refused_429;
    sum.failed += t.failed;
    sum.retries += t.retries;
    sum.spilled_in += t.spilled_in;
    sum.spilled_out += t.spilled_out;
    sum.maybe_billed += t.maybe_billed;
    sum.input += t.input;
    sum.cached += t.cached;
    sum.output += t.output;
    sum.settled += t.settled;
    for (std::size_t i = 0; i < latency_histogram::buckets; ++i)
      sum.latency.count[i] += t.latency.count[i];
  }
  return sum;
}

std::string quantile_text(const latency_histogram& latency, double q) {
  const auto value = latency.quantile(q);
  return value ? brief(*value) : "-";
}

row row_of(std::string label, const lane_totals& t, bool shortened, int decimals) {
  const auto number = [&](std::int64_t n) { return shortened ? compact(n) : grouped(n); };
  return {std::move(label),
          number(t.answered),
          number(t.input.count()),
          number(t.cached.count()),
          number(t.output.count()),
          usd(t.settled, decimals),
          quantile_text(t.latency, 0.5),
          quantile_text(t.latency, 0.95),
          number(t.refused_429),
          number(t.spilled_in),
          number(t.spilled_out),
          number(t.retries),
          number(t.maybe_billed),
          number(t.failed)};
}

struct layout {
  std::array<std::size_t, columns_count> widths{};
  std::size_t gap = 2;
  [[nodiscard]] std::size_t total() const {
    std::size_t sum = gap * (columns_count - 1);
    for (const auto width : widths) sum += width;
    return sum;
  }
};

layout measure(const std::vector<row>& rows) {
  layout out;
  for (std::size_t i = 0; i < columns_count; ++i)
    for (const auto& r : rows) out.widths[i] = std::max(out.widths[i], columns_of(r[i]));
  return out;
}

std::string line_of(const row& cells, const layout& lay) {
  std::string line = padded_right(clipped(cells[0], lay.widths[0]), lay.widths[0]);
  for (std::size_t i = 1; i < columns_count; ++i)
    line += std::string(lay.gap, ' ') + padded_left(cells[i], lay.widths[i]);
  while (line.ends_with(' ')) line.pop_back();
  return line + "\n";
}

std::string span_line(const layout& lay) {
  std::string line;
  std::size_t end = 0, next = 0;
  for (std::size_t i = 0; i < columns_count; ++i) {
    end += lay.widths[i] + (i > 0 ? lay.gap : 0);
    if (next == std::size(spans) || spans[next].last != i) continue;
    line += padded_left(spans[next++].text, end - line.size());
  }
  return line + "\n";
}

std::vector<row> rows_of(const run_progress& p, bool shortened) {
  const auto sum = sum_of(p.lanes);
  const int decimals = usd_decimals(sum.settled);
  std::vector<row> rows{headings};
  for (const auto& lane : p.lanes)
    rows.push_back(row_of(lane_label(lane), lane.totals, shortened, decimals));
  rows.push_back(row_of("total", sum, shortened, decimals));
  return rows;
}

}  // namespace

std::string render_table(const run_progress& p, std::size_t columns) {
  std::vector<row> rows;
  layout lay;
  for (const bool shortened : {false, true}) {
    rows = rows_of(p, shortened);
    lay = measure(rows);
    if (lay.total() > columns) lay.gap = 1;
    if (lay.total() <= columns) break;
  }
  if (lay.total() > columns) {
    constexpr std::size_t label_columns_min = 9;
    const auto excess = std::min(lay.widths[0], lay.total() - columns);
    lay.widths[0] = std::max(label_columns_min, lay.widths[0] - excess);
  }
  std::string out = span_line(lay);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (i == 1 || i + 1 == rows.size()) out += std::string(lay.total(), '-') + "\n";
    out += line_of(rows[i], lay);
  }
  return out;
}

std::string render_summary(const run_progress& p) {
  std::string out = "Answered " + grouped(p.answered) + " of " + grouped(p.prompts) + " prompts" +
                    (p.input_read ? "" : " (input not read to its end)");
  if (p.errors > 0) {
    out += ", " + grouped(p.errors) + (p.errors == 1 ? " error row" : " error rows");
    if (p.invalid > 0) out += " (" + grouped(p.invalid) + " for invalid lines)";
  }
  out += "; cost " + usd(p.settled);
  if (p.budget) out += " of a budget of " + usd(*p.budget);
  out += "; took " + brief(p.now - p.started_at) + ".\n";
  if (p.resumed > 0 || p.in_doubt_at_start > 0 || p.adopted > 0) {
    out += "Resumed: " + grouped(p.resumed) + " were done before, " + grouped(p.adopted) +
           " written answers adopted, " + grouped(p.in_doubt_at_start) +
           " in flight when the last run ended.\n";
  }
  return out;
}

}  // namespace spillway
