#include "workers/auth/sigv4.hpp"

#include "schemas/result.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

namespace spillway {
namespace {

using digest = std::array<unsigned char, 32>;

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

digest sha256(std::string_view text) {
  // Fetched once: looking the algorithm up costs more than hashing a small request.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  digest out;
  ensure(EVP_Digest(text.data(), text.size(), out.data(), nullptr, algorithm, nullptr) == 1,
         "SHA-256 works");
  return out;
}

digest hmac(std::string_view key, std::string_view text) {
  digest out;
  ensure(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
              out.data(), nullptr) != nullptr,
         "HMAC-SHA-256 works");
  return out;
}

std::string_view view(const digest& d) {
  return {reinterpret_cast<const char*>(d.data()), d.size()};
}

void append_hex(std::string& out, const digest& d) {
  constexpr char digits[] = "0123456789abcdef";
  for (const unsigned char c : d) {
    out += digits[c >> 4];
    out += digits[c & 15];
  }
}

char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~' || c == '/';
}

bool is_signed(std::string_view name) {
  return name != "user-agent" && name != "connection" && name != "transfer-encoding" &&
         name != "expect" && name != "x-amzn-trace-id";
}

/// Without blanks around it, and one for each run of blanks inside.
std::string trimmed(std::string_view value) {
  std::string out;
  bool blank = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t') {
      blank = !out.empty();
      continue;
    }
    if (std::exchange(blank, false)) out += ' ';
    out += c;
  }
  return out;
}

using header = std::pair<std::string, std::string>;

/// Name, lower-case, and value of each line; those of the same name stay in their order.
std::vector<header> headers_of(std::string_view block) {
  std::vector<header> out;
  while (!block.empty()) {
    const auto end = std::min(block.find("\r\n"), block.size());
    const auto line = block.substr(0, end);
    block.remove_prefix(std::min(end + 2, block.size()));
    const auto colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), to_lower);
    if (is_signed(name)) out.emplace_back(std::move(name), trimmed(line.substr(colon + 1)));
  }
  return out;
}

/// 20260115T120000Z
std::string timestamp_of(time_point now) {
  const auto day = std::chrono::floor<std::chrono::days>(now);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(now - day));
  char out[32];
  std::snprintf(out, sizeof out, "%04d%02u%02uT%02d%02d%02dZ", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                static_cast<int>(time.seconds().count()));
  return out;
}

/// Appends "name:value\n" lines to `canonical`; returns the names, joined by ';'.
std::string append_headers(std::string& canonical, std::vector<header>& headers) {
  std::stable_sort(headers.begin(), headers.end(),
                   [](const header& a, const header& b) { return a.first < b.first; });
  std::string names;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    const auto& [name, value] = headers[i];
    if (i > 0 && headers[i - 1].first == name) {
      canonical.back() = ',';
    } else {
      if (!names.empty()) names += ';';
      names += name;
      canonical.append(name).append(":");
    }
    canonical.append(value).append("\n");
  }
  return names;
}

}  // namespace

std::string_view signing_name_of(std::string_view host) {
  return host.starts_with("bedrock-mantle") ? "bedrock-mantle" : "bedrock";
}

std::string_view region_of(std::string_view host) {
  const auto dot = host.find('.');
  if (!host.starts_with("bedrock") || dot == std::string_view::npos) return {};
  const auto rest = host.substr(dot + 1);
  const auto end = rest.find('.');
  if (end == std::string_view::npos) return {};
  const auto domain = rest.substr(end + 1);
  const bool known = domain.starts_with("amazonaws.com") || domain.starts_with("api.aws") ||
                     domain.starts_with("api.amazonwebservices");
  return known ? rest.substr(0, end) : std::string_view{};
}

std::string canonical_path(std::string_view path) {
  std::vector<std::string_view> segments;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    const auto segment = path.substr(at, end - at);
    at = end + 1;
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      segments.push_back(segment);
    } else if (!segments.empty()) {
      segments.pop_back();
    }
  }
  constexpr char digits[] = "0123456789ABCDEF";
  std::string out;
  for (const auto segment : segments) {
    out += '/';
    for (const char c : segment) {
      if (is_unreserved(c)) {
        out += c;
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += digits[byte >> 4];
      out += digits[byte & 15];
    }
  }
  if (out.empty() || path.ends_with('/')) out += '/';
  return out;
}

std::string canonical_query(std::string_view query) {
  if (query.empty()) return {};
  std::vector<std::pair<std::string_view, std::string_view>> pairs;
  for (std::size_t at = 0; at <= query.size();) {
    const auto end = std::min(query.find('&', at), query.size());
    const auto pair = query.substr(at, end - at);
    at = end + 1;
    const auto equals = std::min(pair.find('='), pair.size());
    pairs.emplace_back(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
  }
  std::sort(pairs.begin(), pairs.end());
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

std::shared_ptr<const sigv4_signer::day_key> sigv4_signer::key_of(std::string_view date) const {
  std::lock_guard lock(mutex_);
  if (key_ && key_->date == date) return key_;
  auto made = std::make_shared<day_key>();
  made->date = date;
  const auto dated = hmac("AWS4" + keys_.secret_access_key, date);
  const auto in_region = hmac(view(dated), scope_.region);
  const auto for_service = hmac(view(in_region), scope_.service);
  made->key = hmac(view(for_service), "aws4_request");
  key_ = std::move(made);
  return key_;
}

void sigv4_signer::sign(http_request& request, time_point now) const {
  const std::string timestamp = timestamp_of(now);
  const std::string_view date = std::string_view(timestamp).substr(0, 8);

  auto headers = headers_of(request.headers);
  headers.emplace_back("host", scope_.host);
  headers.emplace_back("x-amz-date", timestamp);
  if (!keys_.session_token.empty())
    headers.emplace_back("x-amz-security-token", keys_.session_token);

  const std::string_view target = request.target;
  const auto mark = std::min(target.find('?'), target.size());
  std::string canonical = "POST\n" + canonical_path(target.substr(0, mark)) + "\n" +
                          canonical_query(target.substr(std::min(mark + 1, target.size()))) + "\n";
  const std::string names = append_headers(canonical, headers);
  canonical.append("\n").append(names).append("\n");
  append_hex(canonical, sha256(request.body));

  std::string scope(date);
  scope.append("/").append(scope_.region).append("/").append(scope_.service);
  scope += "/aws4_request";
  std::string to_sign = "AWS4-HMAC-SHA256\n" + timestamp + "\n" + scope + "\n";
  append_hex(to_sign, sha256(canonical));

  auto& out = request.headers;
  out.append("X-Amz-Date: ").append(timestamp).append("\r\n");
  if (!keys_.session_token.empty())
    out.append("X-Amz-Security-Token: ").append(keys_.session_token).append("\r\n");
  out.append("Authorization: AWS4-HMAC-SHA256 Credential=").append(keys_.access_key_id);
  out.append("/").append(scope).append(", SignedHeaders=").append(names).append(", Signature=");
  append_hex(out, hmac(view(key_of(date)->key), to_sign));
  out += "\r\n";
}

}  // namespace spillway
