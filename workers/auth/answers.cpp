#include "workers/auth/answers.hpp"

#include "workers/auth/secrets.hpp"
#include "workers/http.hpp"

#include <boost/json.hpp>

#include <algorithm>
#include <charconv>

namespace spillway {
namespace {

namespace json = boost::json;

constexpr std::size_t told_bytes_max = 240;

std::optional<int> number(std::string_view text) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// The beginning of a server's own words, on one line.
std::string told(std::string_view text) {
  std::string out(text.substr(0, text.find_first_of("\r\n")));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  if (out.size() > told_bytes_max) out = out.substr(0, told_bytes_max) + "...";
  return out;
}

std::optional<json::object> object_of(std::string_view text) {
  json::error_code error;
  auto value = json::parse(text, error);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::string text_of(const json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string(*text) : std::string();
}

/// Seconds, as a number or in quotes.
std::optional<double> seconds_in(const json::object& o, std::string_view name) {
  const auto* value = o.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_number()) return value->to_number<double>();
  const auto* text = value->if_string();
  const auto quoted = text ? number(std::string_view(*text)) : std::nullopt;
  if (!quoted) return std::nullopt;
  return *quoted;
}

/// Codes and texts of the shapes that Google, Entra and AWS use.
std::string reason_in(const json::object& o) {
  std::string out;
  const auto add = [&](const std::string& text) {
    if (!text.empty()) out += (out.empty() ? "" : ": ") + told(text);
  };
  add(text_of(o, "error"));
  add(text_of(o, "error_description"));
  if (const auto* nested = o.if_contains("error"); nested && nested->is_object()) {
    add(text_of(nested->as_object(), "status"));
    add(text_of(nested->as_object(), "message"));
  }
  add(text_of(o, "Code"));
  add(text_of(o, "Message"));
  return out;
}

failure refused_by(std::string_view from, int status, const std::string& reason) {
  return no_credential(std::string(from) + " answered " + std::to_string(status) +
                       (reason.empty() ? std::string() : " (" + reason + ")"));
}

std::string between(std::string_view text, std::string_view tag) {
  const auto open = "<" + std::string(tag) + ">", close = "</" + std::string(tag) + ">";
  const auto from = text.find(open);
  if (from == std::string_view::npos) return {};
  const auto to = text.find(close, from);
  if (to == std::string_view::npos) return {};
  auto inner = text.substr(from + open.size(), to - from - open.size());
  while (!inner.empty() && (inner.front() == ' ' || inner.front() == '\n')) inner.remove_prefix(1);
  while (!inner.empty() && (inner.back() == ' ' || inner.back() == '\n')) inner.remove_suffix(1);
  return std::string(inner);
}

result<credential> checked_keys(aws_keys keys, std::string_view expiration, std::string_view from,
                                time_point now, time_point wall) {
  const auto expires = parse_iso_time(expiration);
  const bool fits = fits_header(keys.access_key_id) && !keys.secret_access_key.empty() &&
                    fits_header(keys.session_token);
  if (!fits || !expires)
    return no_credential(std::string(from) + " answered without keys, token and expiry");
  credential out;
  out.keys = std::move(keys);
  out.expires = now + (*expires - wall);
  return out;
}

}  // namespace

failure no_credential(std::string what) { return {failure_kind::stopped, std::move(what)}; }

std::optional<time_point> parse_iso_time(std::string_view text) {
  // YYYY-MM-DDThh:mm:ss
  if (text.size() < 20 || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' ||
      text[16] != ':')
    return std::nullopt;
  const auto year = number(text.substr(0, 4)), month = number(text.substr(5, 2)),
             day = number(text.substr(8, 2)), hour = number(text.substr(11, 2)),
             minute = number(text.substr(14, 2)), second = number(text.substr(17, 2));
  if (!year || !month || !day || !hour || !minute || !second) return std::nullopt;
  const auto date = std::chrono::year(*year) / *month / *day;
  if (!date.ok()) return std::nullopt;
  text.remove_prefix(19);
  if (text.starts_with('.')) {
    const auto digits = text.find_first_not_of("0123456789", 1);
    text.remove_prefix(std::min(digits, text.size()));
  }
  std::chrono::minutes offset{};
  if (text != "Z") {
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':')
      return std::nullopt;
    const auto hours = number(text.substr(1, 2)), minutes = number(text.substr(4, 2));
    if (!hours || !minutes) return std::nullopt;
    offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
    if (text[0] == '-') offset = -offset;
  }
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) - offset;
}

result<credential> bearer_of(const token_response& answer, std::string_view from, time_point now) {
  const auto object = object_of(answer.body);
  if (answer.status != 200)
    return refused_by(from, answer.status, object ? reason_in(*object) : std::string());
  const auto token = object ? text_of(*object, "access_token") : std::string();
  const auto lasts = object ? seconds_in(*object, "expires_in") : std::nullopt;
  if (!fits_header(token)) return no_credential(std::string(from) + " answered without a token");
  credential out;
  out.header = "Authorization: Bearer " + token + "\r\n";
  // App Service tells the moment instead; an hour is what all of them give at least.
  if (lasts) {
    out.expires = now + from_seconds(std::clamp(*lasts, 0.0, 1e8));
  } else if (const auto at = seconds_in(*object, "expires_on")) {
    out.expires = time_point(std::chrono::seconds(static_cast<std::int64_t>(*at)));
  } else {
    return no_credential(std::string(from) + " answered without an expiry");
  }
  return out;
}

result<credential> aws_keys_of_json(const token_response& answer, std::string_view from,
                                    time_point now, time_point wall) {
  const auto object = object_of(answer.body);
  if (answer.status != 200)
    return refused_by(from, answer.status, object ? reason_in(*object) : std::string());
  if (!object) return no_credential(std::string(from) + " did not answer in JSON");
  const auto code = text_of(*object, "Code");
  if (!code.empty() && code != "Success")
    return refused_by(from, answer.status, reason_in(*object));
  return checked_keys({text_of(*object, "AccessKeyId"), text_of(*object, "SecretAccessKey"),
                       text_of(*object, "Token")},
                      text_of(*object, "Expiration"), from, now, wall);
}

result<credential> aws_keys_of_sts(const token_response& answer, std::string_view from,
                                   time_point now, time_point wall) {
  const std::string_view body = answer.body;
  if (answer.status != 200) {
    std::string reason = told(between(body, "Code"));
    if (const auto message = told(between(body, "Message")); !message.empty())
      reason += (reason.empty() ? "" : ": ") + message;
    return refused_by(from, answer.status, reason);
  }
  const auto credentials = between(body, "Credentials");
  return checked_keys({between(credentials, "AccessKeyId"), between(credentials, "SecretAccessKey"),
                       between(credentials, "SessionToken")},
                      between(credentials, "Expiration"), from, now, wall);
}

std::string form_of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs) {
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(percent_encoded(value));
  }
  return out;
}

bool is_safe_url(std::string_view url) {
  const auto parsed = parse_endpoint(url.substr(0, url.find('?')));
  return parsed && (parsed->tls || parsed->is_loopback());
}

}  // namespace spillway
