#include "workers/simulator/reply_frame.hpp"

#include "workers/simulator/hash.hpp"
#include "workers/simulator/json_text.hpp"

#include <algorithm>
#include <ctime>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view length_room =
    "          ";  // ten digits, blanks before them are allowed

std::int64_t rounded_up(duration d, duration unit) { return (d + unit - 1ns) / unit; }

void append_allowance(std::string_view unit, const allowance& a, bool azure, std::string& out) {
  append(out, "x-ratelimit-limit-", unit, ": ", a.limit, "\r\nx-ratelimit-remaining-", unit, ": ",
         a.remaining, "\r\nx-ratelimit-reset-", unit, ": ");
  if (azure)
    append_number(rounded_up(a.reset, 1s), out);
  else
    append_go_duration(a.reset, out);
  out += "\r\n";
}

void append_request_id(std::string_view header, const reply_context& c, std::string& out) {
  append(out, header, ": req_");
  append_hex(mix(c.call), out);
  append_hex(mix(c.call ^ 0x0A), out);
  out += "\r\n";
}

void append_ids(const reply_context& c, std::string& out) {
  switch (c.form) {
    case wire_form::openai:
      append_request_id("x-request-id", c, out);
      out += "openai-version: 2020-10-01\r\nopenai-organization: org-simulated\r\n";
      break;
    case wire_form::azure:
      out += "apim-request-id: ";
      append_uuid(c.call, out);
      out += "\r\nx-ms-region: Simulated\r\nazureml-model-session: simulated\r\n";
      break;
    case wire_form::aws:
    case wire_form::mantle:
      out += "x-amzn-RequestId: ";
      append_uuid(c.call, out);
      out += "\r\n";
      break;
    case wire_form::google:
    case wire_form::google_list: out += "vary: Origin, X-Origin, Referer\r\n"; break;
    case wire_form::anthropic:
      append_request_id("request-id", c, out);
      out += "anthropic-organization-id: 00000000-0000-4000-a000-000000000001\r\n";
      break;
    case wire_form::compatible: out += "server: uvicorn\r\n"; break;
  }
}

void append_anthropic_allowance(std::string_view unit, const allowance& a, time_point now,
                                std::string& out) {
  append(out, "anthropic-ratelimit-", unit, "-limit: ", a.limit, "\r\nanthropic-ratelimit-", unit,
         "-remaining: ", a.remaining, "\r\nanthropic-ratelimit-", unit, "-reset: ");
  append_rfc3339(now + a.reset, out);
  out += "\r\n";
}

void append_rates(const reply_context& c, std::string& out) {
  if (c.form == wire_form::openai || c.form == wire_form::azure) {
    const bool azure = c.form == wire_form::azure;
    if (c.rates.requests) append_allowance("requests", *c.rates.requests, azure, out);
    if (c.rates.tokens) append_allowance("tokens", *c.rates.tokens, azure, out);
  } else if (c.form == wire_form::anthropic) {
    const auto tell = [&](std::string_view unit, const std::optional<allowance>& a) {
      if (a) append_anthropic_allowance(unit, *a, c.now, out);
    };
    tell("requests", c.rates.requests);
    tell("tokens", c.rates.tokens);
    tell("input-tokens", c.rates.input);
    tell("output-tokens", c.rates.output);
  }
}

void append_retry_after(const reply_context& c, duration wait, std::string& out) {
  if (c.form == wire_form::google || c.form == wire_form::google_list) return;  // RetryInfo
  append(out, "retry-after: ", rounded_up(wait, 1s), "\r\n");
  if (c.form == wire_form::openai || c.form == wire_form::azure)
    append(out, "retry-after-ms: ", rounded_up(wait, 1ms), "\r\n");
}

/// HTTP's form of a time. Formatted once a second and thread.
void append_date(time_point now, std::string& out) {
  thread_local std::int64_t formatted = -1;
  thread_local char text[64];
  const std::int64_t seconds = unix_seconds(now);
  if (seconds != formatted) {
    const std::time_t t = seconds;
    std::tm utc{};
    gmtime_r(&t, &utc);
    std::strftime(text, sizeof text, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    formatted = seconds;
  }
  out += text;
}

}  // namespace

void append_id(std::string_view prefix, const reply_context& c, std::string& out) {
  append(out, "\"", prefix);
  append_hex(mix(c.call ^ 0x1D), out);
  append_hex(mix(c.call ^ 0x2D), out);
  out += '"';
}

void append_uuid(std::uint64_t call, std::string& out) {
  std::string hex;
  append_hex(mix(call), hex);
  append_hex(mix(call ^ 0xA2), hex);
  const std::string_view h = hex;
  append(out, h.substr(0, 8), "-", h.substr(8, 4), "-4", h.substr(13, 3), "-a", h.substr(17, 3),
         "-", h.substr(20, 12));
}

void append_rfc3339(time_point now, std::string& out) {
  const std::time_t t = unix_seconds(now);
  std::tm utc{};
  gmtime_r(&t, &utc);
  char text[32];
  out.append(text, std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &utc));
}

std::int64_t unix_seconds(time_point t) {
  return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
}

void append_go_duration(duration d, std::string& out) {
  const std::int64_t ms = std::max<std::int64_t>(0, rounded_up(d, 1ms));
  if (ms == 0) {
    out += "0s";
    return;
  }
  if (ms < 1000) {
    append(out, ms, "ms");
    return;
  }
  const std::int64_t s = ms / 1000;
  if (s >= 3600) append(out, s / 3600, "h");
  if (s >= 60) append(out, s / 60 % 60, "m");
  append_number(s % 60, out);
  if (const std::int64_t part = ms % 1000; part != 0) {
    const char digits[] = {'.', static_cast<char>('0' + part / 100),
                           static_cast<char>('0' + part / 10 % 10),
                           static_cast<char>('0' + part % 10)};
    std::string_view text(digits, sizeof digits);
    while (text.back() == '0') text.remove_suffix(1);
    out += text;
  }
  out += 's';
}

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Payload Too Large";
    case 422: return "Unprocessable Entity";
    case 424: return "Failed Dependency";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 529: return "Overloaded";
    default: return "Error";
  }
}

reply_frame::reply_frame(const reply_context& c, int status, std::optional<duration> retry_after,
                         std::string& out, std::string_view aws_error)
    : out_(out) {
  open(status, "application/json", c.keep_alive);
  append_date(c.now, out_);
  append_ids(c, out_);
  if (!aws_error.empty())
    append(out_, "x-amzn-ErrorType: ", aws_error,
           ":http://internal.amazon.com/coral/com.amazon.bedrock/\r\n");
  append_rates(c, out_);
  if (retry_after) append_retry_after(c, *retry_after, out_);
  close_head();
}

reply_frame::reply_frame(int status, std::string_view content_type, bool keep_alive,
                         std::string& out, std::string_view extra)
    : out_(out) {
  open(status, content_type, keep_alive);
  out_ += extra;
  close_head();
}

void reply_frame::open(int status, std::string_view content_type, bool keep_alive) {
  append(out_, "HTTP/1.1 ", status, " ", reason_phrase(status), "\r\ncontent-type: ", content_type,
         "\r\ncontent-length: ");
  length_at_ = out_.size();
  append(out_, length_room, "\r\n");
  if (!keep_alive) out_ += "connection: close\r\n";
}

void reply_frame::close_head() {
  out_ += "\r\n";
  body_at_ = out_.size();
}

void reply_frame::finish() {
  std::string length;
  append_number(out_.size() - body_at_, length);
  ensure(length.size() <= length_room.size(), "a simulated response fits its length field");
  out_.replace(length_at_ + length_room.size() - length.size(), length.size(), length);
}

}  // namespace spillway::simulated
