#include "orchestrator/engine/progress_json.hpp"

#include "connectors/rows.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace spillway {

namespace json = boost::json;

namespace {

template <class Enum>
std::optional<Enum> enum_named(std::string_view name, Enum last) {
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (name == name_of(static_cast<Enum>(i))) return static_cast<Enum>(i);
  return std::nullopt;
}

std::optional<time_point> parse_utc(const std::string& text) {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0, ms = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day, &hour, &minute,
                  &second, &ms) != 7)
    return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(year),
                            std::chrono::month(static_cast<unsigned>(month)),
                            std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  return time_point(sys_days(date)) + hours(hour) + minutes(minute) + seconds(second) +
         milliseconds(ms);
}

// A writer and a reader with the same shape, so that one list of fields serves both directions.

class field_writer {
 public:
  json::object out;

  void operator()(const char* key, std::int64_t v) { out[key] = v; }
  void operator()(const char* key, bool v) { out[key] = v; }
  void operator()(const char* key, double v) { out[key] = std::isfinite(v) ? v : 0; }
  void operator()(const char* key, const std::string& v) { out[key] = v; }
  void operator()(const char* key, tokens v) { out[key] = v.count(); }
  void operator()(const char* key, nano_usd v) { out[key] = to_usd(v); }
  void operator()(const char* key, duration v) { out[key] = seconds_of(v); }
  void operator()(const char* key, time_point v) { out[key] = iso_time(v); }
  void operator()(const char* key, lane_health v) { out[key] = name_of(v); }
  void operator()(const char* key, run_state v) { out[key] = name_of(v); }
  void operator()(const char* key, const latency_histogram& v) {
    json::object counts;
    for (std::size_t i = 0; i < latency_histogram::buckets; ++i)
      if (v.count[i] != 0) counts[std::to_string(i)] = v.count[i];
    out[key] = std::move(counts);
  }
  void operator()(const char* key, const day_costs& v) {
    json::array days;
    for (const auto& d : v.days()) {
      days.push_back(
          json::object{{"day", d.day}, {"calls", d.calls}, {"cost_usd", to_usd(d.settled)}});
    }
    out[key] = std::move(days);
  }
  template <class T>
  void operator()(const char* key, const std::optional<T>& v) {
    if (v) (*this)(key, *v);
  }
};

class field_reader {
 public:
  explicit field_reader(const json::object& in) : in_(in) {}
  bool ok = true;

  void operator()(const char* key, std::int64_t& v) { number(key, v); }
  void operator()(const char* key, double& v) { number(key, v); }
  void operator()(const char* key, bool& v) {
    if (const auto* found = in_.if_contains(key)) {
      if (found->is_bool())
        v = found->get_bool();
      else
        ok = false;
    }
  }
  void operator()(const char* key, std::string& v) {
    if (const auto text = text_of(key)) v = *text;
  }
  void operator()(const char* key, tokens& v) {
    std::int64_t n = v.count();
    number(key, n);
    v = tokens(n);
  }
  void operator()(const char* key, nano_usd& v) {
    double usd = to_usd(v);
    number(key, usd);
    v = from_usd(usd);
  }
  void operator()(const char* key, duration& v) {
    double s = seconds_of(v);
    number(key, s);
    v = from_seconds(s);
  }
  void operator()(const char* key, time_point& v) { named(key, v, parse_utc); }
  void operator()(const char* key, lane_health& v) {
    named(key, v, [](const auto& name) { return enum_named(name, lane_health::no_credentials); });
  }
  void operator()(const char* key, run_state& v) {
    named(key, v, [](const auto& name) { return enum_named(name, run_state::failed); });
  }
  void operator()(const char* key, latency_histogram& v) {
    const auto* found = in_.if_contains(key);
    if (!found) return;
    if (!found->is_object()) {
      ok = false;
      return;
    }
    field_reader counts(found->get_object());
    for (std::size_t i = 0; i < latency_histogram::buckets; ++i)
      counts(std::to_string(i).c_str(), v.count[i]);
    ok = ok && counts.ok;
  }
  void operator()(const char* key, day_costs& v) {
    const auto* found = in_.if_contains(key);
    if (!found) return;
    if (!found->is_array()) {
      ok = false;
      return;
    }
    for (const auto& item : found->get_array()) {
      if (!item.is_object()) {
        ok = false;
        return;
      }
      field_reader day(item.get_object());
      day_cost d;
      day("day", d.day);
      day("calls", d.calls);
      day("cost_usd", d.settled);
      ok = ok && day.ok;
      v.add(d);
    }
  }
  template <class T>
  void operator()(const char* key, std::optional<T>& v) {
    if (!in_.if_contains(key)) return;
    (*this)(key, v.emplace());
  }

 private:
  template <class T>
  void number(const char* key, T& v) {
    const auto* found = in_.if_contains(key);
    if (!found) return;
    json::error_code error;
    const T value = found->to_number<T>(error);
    if (error)
      ok = false;
    else
      v = value;
  }
  std::optional<std::string> text_of(const char* key) {
    const auto* found = in_.if_contains(key);
    if (!found) return std::nullopt;
    if (found->is_string()) return std::string(found->get_string());
    ok = false;
    return std::nullopt;
  }
  template <class T, class Parse>
  void named(const char* key, T& v, Parse parse) {
    const auto text = text_of(key);
    if (!text) return;
    const std::optional<T> value = parse(*text);
    if (value)
      v = *value;
    else
      ok = false;
  }

  const json::object& in_;
};

template <class Fields, class Lane>
void lane_fields(Fields& f, Lane& lane) {
  f("pool", lane.pool);
  f("lane", lane.lane);
  f("model", lane.model);
  f("health", lane.health);
  f("reason", lane.reason);
  f("since", lane.since);
  f("resumes_in_s", lane.resumes_in);
  f("in_flight", lane.in_flight);
  f("concurrency", lane.concurrency);
  f("rpm_used", lane.rpm_used);
  f("tpm_used", lane.tpm_used);
  auto& t = lane.totals;
  f("calls", t.calls);
  f("answered", t.answered);
  f("rejected", t.rejected);
  f("refused_429", t.refused_429);
  f("failed", t.failed);
  f("retries", t.retries);
  f("spilled_in", t.spilled_in);
  f("spilled_out", t.spilled_out);
  f("maybe_billed", t.maybe_billed);
  f("input_tokens", t.input);
  f("cached_tokens", t.cached);
  f("output_tokens", t.output);
  f("cost_usd", t.settled);
  f("latency_buckets", t.latency);
  f("day", t.day);
  f("day_requests", t.day_requests);
  f("day_usd", t.day_spend);
  f("by_day", t.by_day);
}

template <class Fields, class Progress>
void run_fields(Fields& f, Progress& p) {
  f("state", p.state);
  f("stop_reason", p.stop_reason);
  f("input_read", p.input_read);
  f("prompts", p.prompts);
  f("input_share", p.input_share);
  f("answered", p.answered);
  f("errors", p.errors);
  f("invalid", p.invalid);
  f("in_flight", p.in_flight);
  f("resumed", p.resumed);
  f("in_doubt_at_start", p.in_doubt_at_start);
  f("adopted", p.adopted);
  f("cost_usd", p.settled);
  f("reserved_usd", p.reserved);
  f("budget_usd", p.budget);
  f("rate", p.rate);
  f("eta_s", p.eta);
  f("started_at", p.started_at);
  f("at", p.now);
}

void append_number(std::string& out, double value) {
  char buffer[400];  // the longest fixed form of a double has 309 digits before the point
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  out.append(buffer, end.ptr);
}

void append(std::string& out, const json::value& value) {
  if (value.is_double()) {
    append_number(out, value.get_double());
  } else if (value.is_array()) {
    out += '[';
    for (const auto& item : value.get_array()) {
      append(out, item);
      out += ',';
    }
    if (out.back() == ',') out.pop_back();
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [key, item] : value.get_object()) {
      out += json::serialize(json::string_view(key));
      out += ':';
      append(out, item);
      out += ',';
    }
    if (out.back() == ',') out.pop_back();
    out += '}';
  } else {
    out += json::serialize(value);
  }
}

failure damaged(const char* what) {
  return {failure_kind::storage, std::string("not a status of a run: ") + what};
}

}  // namespace

json::object to_json(const run_progress& progress) {
  field_writer f;
  run_fields(f, progress);
  f("elapsed_s", progress.now - progress.started_at);
  json::array lanes;
  for (const auto& lane : progress.lanes) {
    field_writer lane_writer;
    lane_fields(lane_writer, lane);
    lane_writer("latency_p50_s", lane.totals.latency.quantile(0.5));
    lane_writer("latency_p95_s", lane.totals.latency.quantile(0.95));
    lanes.push_back(std::move(lane_writer.out));
  }
  f.out["lanes"] = std::move(lanes);
  return std::move(f.out);
}

result<run_progress> progress_from_json(const json::value& value) {
  if (!value.is_object()) return damaged("progress is not an object");
  run_progress progress;
  field_reader f(value.get_object());
  run_fields(f, progress);
  bool ok = f.ok;
  if (const auto* lanes = value.get_object().if_contains("lanes"); lanes && lanes->is_array()) {
    for (const auto& item : lanes->get_array()) {
      if (!item.is_object()) return damaged("a lane is not an object");
      field_reader lane_reader(item.get_object());
      lane_fields(lane_reader, progress.lanes.emplace_back());
      ok = ok && lane_reader.ok;
    }
  }
  if (!ok) return damaged("a value has the wrong type");
  return progress;
}

std::string json_line(const json::value& value) {
  std::string out;
  append(out, value);
  return out;
}

std::string status_text(const status_file& status) {
  field_writer f;
  f("pid", status.pid);
  f("updated_at", status.updated_at);
  f.out["progress"] = to_json(status.progress);
  return json_line(f.out) + "\n";
}

result<status_file> parse_status(std::string_view text) {
  json::error_code error;
  const auto value = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !value.is_object()) return damaged("not a JSON object");
  status_file status;
  field_reader f(value.get_object());
  f("pid", status.pid);
  f("updated_at", status.updated_at);
  const auto* body = value.get_object().if_contains("progress");
  if (!f.ok || !body) return damaged("pid, updated_at or progress is missing or wrong");
  auto progress = progress_from_json(*body);
  if (!progress) return progress.error();
  status.progress = std::move(*progress);
  return status;
}

}  // namespace spillway
