#include "connectors/rows.hpp"

#include "orchestrator/runtime/json_string.hpp"

#include <simdjson.h>

#include <cstdio>

namespace spillway {
namespace {

void add(std::string& out, std::string_view name, std::int64_t value) {
  out.append(name).append(std::to_string(value));
}

void add_list(std::string& out, std::string_view name, std::span<const std::string> values) {
  out.append(name).append("[");
  for (const auto& value : values) {
    if (out.back() != '[') out += ',';
    append_json_string(value, out);
  }
  out += ']';
}

std::uint64_t row_number(const row_facts& f) {
  std::uint64_t h = 0xcbf29ce484222325ull;  // FNV-1a
  const auto mix = [&](std::string_view s) {
    for (const char c : s) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  };
  mix(f.job);
  mix(f.file);
  mix(std::to_string(f.line));
  return h;
}

void add_response(std::string& out, const row_facts& f) {
  if (f.status == 0) {
    out += R"("response":null)";
    return;
  }
  add(out, R"("response":{"status_code":)", f.status);
  out.append(R"(,"request_id":)").append(json_string(f.request_id));
  out.append(R"(,"body":)").append(f.body.empty() ? "null" : f.body).append("}");
}

}  // namespace

std::string iso_time(time_point t) {
  const auto day = std::chrono::floor<std::chrono::days>(t);
  const std::chrono::year_month_day date(day);
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(t - day).count();
  char text[40];
  std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02d:%02d:%02d.%03dZ",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(ms / 3'600'000),
                static_cast<int>(ms / 60'000 % 60), static_cast<int>(ms / 1000 % 60),
                static_cast<int>(ms % 1000));
  return text;
}

std::string usd_text(nano_usd amount) {
  const auto n = amount.count();
  const auto magnitude = n < 0 ? -n : n;
  char text[40];
  std::snprintf(text, sizeof text, "%s%lld.%09lld", n < 0 ? "-" : "",
                static_cast<long long>(magnitude / 1'000'000'000),
                static_cast<long long>(magnitude % 1'000'000'000));
  std::string out = text;
  while (out.back() == '0') out.pop_back();
  if (out.back() == '.') out.pop_back();
  return out;
}

std::string make_row(const row_facts& f) {
  std::string out;
  out.reserve(f.body.size() + 720);
  char id[40];
  std::snprintf(id, sizeof id, R"({"id":"batch_req_%016llx",)",
                static_cast<unsigned long long>(row_number(f)));
  out.append(id).append(R"("custom_id":)").append(f.custom_id_token).append(",");
  add_response(out, f);
  if (f.error_code.empty()) {
    out += R"(,"error":null)";
  } else {
    out.append(R"(,"error":{"code":)").append(json_string(f.error_code));
    out.append(R"(,"message":)").append(json_string(f.error_message)).append("}");
  }
  const auto text_or_null = [&](std::string_view name, std::string_view text) {
    out.append(name).append(text.empty() ? "null" : json_string(text));
  };
  out.append(R"(,"spillway":{"job":)").append(json_string(f.job));
  text_or_null(R"(,"pool":)", f.origin.pool);
  text_or_null(R"(,"lane":)", f.origin.lane);
  text_or_null(R"(,"provider":)", f.origin.provider);
  text_or_null(R"(,"region":)", f.origin.region);
  add_list(out, R"(,"residency":)", f.origin.residency);
  text_or_null(R"(,"model":)", f.origin.model);
  add(out, R"(,"attempts":)", f.attempts);
  add(out, R"(,"maybe_billed":)", f.maybe_billed);
  add(out, R"(,"input_tokens":)", f.usage.input.count());
  add(out, R"(,"cached_tokens":)", f.usage.cached.count());
  add(out, R"(,"output_tokens":)", f.usage.output.count());
  out.append(R"(,"cost_usd":)").append(f.cost ? usd_text(*f.cost) : "null");
  text_or_null(R"(,"service_tier":)", f.service_tier);
  add_list(out, R"(,"dropped":)", f.dropped);
  out.append(R"(,"file":)").append(json_string(f.file));
  add(out, R"(,"line":)", static_cast<std::int64_t>(f.line));
  text_or_null(R"(,"sent_at":)", f.sent_at ? iso_time(*f.sent_at) : "");
  text_or_null(R"(,"done_at":)", f.done_at ? iso_time(*f.done_at) : "");
  out += "}}\n";
  return out;
}

result<row_summary> read_row(std::string_view row) {
  const failure foreign{failure_kind::storage, "not a row written by spillway"};
  simdjson::dom::parser parser;
  simdjson::dom::element root, ours;
  const std::string copy(row);
  if (parser.parse(copy).get(root) != simdjson::SUCCESS ||
      root["spillway"].get(ours) != simdjson::SUCCESS || !ours.is_object())
    return foreign;
  row_summary out;
  const auto text = [&](const char* key, std::string& into) {
    std::string_view value;
    if (ours[key].get_string().get(value) == simdjson::SUCCESS) into = value;
  };
  const auto number = [&](const char* key) {
    std::int64_t value = 0;
    return ours[key].get_int64().get(value) == simdjson::SUCCESS ? value : 0;
  };
  text("file", out.file);
  text("pool", out.pool);
  text("lane", out.lane);
  out.line = static_cast<std::uint64_t>(number("line"));
  out.attempts = static_cast<std::uint32_t>(number("attempts"));
  out.usage = {true, tokens(number("input_tokens")), tokens(number("cached_tokens")),
               tokens(number("output_tokens"))};
  double cost = 0;
  if (ours["cost_usd"].get_double().get(cost) == simdjson::SUCCESS) out.cost = from_usd(cost);
  if (out.file.empty() || out.line == 0) return foreign;
  return out;
}

}  // namespace spillway
