#include "workers/simulator/sigv4_check.hpp"

#include "workers/simulator/web_text.hpp"

#include <algorithm>
#include <ctime>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;

constexpr auto skew_max = 5min;
constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";

error_reply refusal(std::string_view code, std::string message) {
  error_reply e;
  e.status = 403;
  e.code = code;
  e.message = std::move(message);
  return e;
}

error_reply bad_signature(std::string message) {
  return refusal("InvalidSignatureException", std::move(message));
}

/// Takes the text between `before` and the next ',' or the end.
std::string_view part(std::string_view text, std::string_view before) {
  const auto at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find(','));
}

std::string_view next_part(std::string_view& text) {
  const auto end = std::min(text.find('/'), text.size());
  const auto taken = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return taken;
}

/// "20260115T120000Z"
std::optional<time_point> read_amz_date(std::string_view text) {
  std::tm utc{};
  const std::string copy(text);
  const char* end = text.size() == 16 ? strptime(copy.c_str(), "%Y%m%dT%H%M%SZ", &utc) : nullptr;
  if (!end || *end != '\0') return std::nullopt;
  return time_point(std::chrono::seconds(timegm(&utc)));
}

std::string amz_date(time_point t) {
  const std::time_t seconds =
      std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  return {text, std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc)};
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

/// The path encoded once more: what came as %3A is signed as %253A.
void append_encoded_path(std::string_view path, std::string& out) {
  static constexpr char digits[] = "0123456789ABCDEF";
  for (const char c : path) {
    if (is_unreserved(c) || c == '/') {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
}

void append_sorted_query(std::string_view query, std::string& out) {
  if (query.empty()) return;
  std::vector<std::string> pairs;
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    pairs.emplace_back(query.substr(0, end));
    if (pairs.back().find('=') == std::string::npos) pairs.back() += '=';
    query.remove_prefix(std::min(end + 1, query.size()));
  }
  std::sort(pairs.begin(), pairs.end());
  for (std::size_t i = 0; i < pairs.size(); ++i) out.append(i > 0 ? "&" : "").append(pairs[i]);
}

/// Runs of blanks count as one.
void append_collapsed(std::string_view value, std::string& out) {
  bool blank = false;
  for (const char c : value) {
    if (c == ' ' && blank) continue;
    blank = c == ' ';
    out += c;
  }
}

bool in_list(std::string_view list, std::string_view name) {
  while (!list.empty()) {
    const auto end = std::min(list.find(';'), list.size());
    if (is_field_name(name, list.substr(0, end))) return true;
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return false;
}

/// False: a header that is said to be signed is not there.
bool append_signed_headers(std::string_view fields, std::string_view list, std::string& out) {
  while (!list.empty()) {
    const auto end = std::min(list.find(';'), list.size());
    const auto wanted = list.substr(0, end);
    list.remove_prefix(std::min(end + 1, list.size()));
    out.append(wanted) += ':';
    int found = 0;
    each_field(fields, [&](std::string_view name, std::string_view value) {
      if (!is_field_name(name, wanted)) return;
      if (found++ > 0) out += ',';
      append_collapsed(value, out);
    });
    if (found == 0) return false;
    out += '\n';
  }
  return true;
}

/// The name of a header that must be signed and is not; empty: none.
std::string unsigned_header(std::string_view fields, std::string_view list) {
  std::string missing;
  each_field(fields, [&](std::string_view name, std::string_view) {
    const bool required = is_field_name(name, "host") ||
                          (name.size() > 6 && is_field_name(name.substr(0, 6), "x-amz-"));
    if (missing.empty() && required && !in_list(list, name)) missing = name;
  });
  return missing;
}

std::optional<error_reply> check_time(const signature_claim& claim, std::string_view date,
                                      time_point now) {
  const auto signed_at = read_amz_date(date);
  if (!signed_at)
    return refusal("IncompleteSignatureException", "Date must be in ISO-8601 'basic format'.");
  if (!date.starts_with(claim.date))
    return bad_signature(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version "
        "of date from HTTP.");
  if (now - *signed_at > skew_max)
    return bad_signature("Signature expired: " + std::string(date) + " is now earlier than " +
                         amz_date(now - skew_max) + " (" + amz_date(now) + " - 5 min.)");
  if (*signed_at - now > skew_max)
    return bad_signature("Signature not yet current: " + std::string(date) +
                         " is still later than " + amz_date(now + skew_max) + " (" + amz_date(now) +
                         " + 5 min.)");
  return std::nullopt;
}

std::optional<error_reply> check_scope(const signature_claim& claim, const signing_scope& scope) {
  if (claim.region != scope.region)
    return bad_signature("Credential should be scoped to a valid region. Expected '" +
                         std::string(scope.region) + "', found '" + std::string(claim.region) +
                         "'.");
  if (std::find(scope.services.begin(), scope.services.end(), claim.service) ==
      scope.services.end())
    return bad_signature("Credential should be scoped to correct service: '" +
                         std::string(scope.services.front()) + "'.");
  return std::nullopt;
}

std::optional<error_reply> check_keys(const request_head& head, const aws_credential* known,
                                      time_point now) {
  const auto token = field_value(head.fields, "x-amz-security-token").value_or("");
  if (!known || token != known->session_token)
    return refusal("UnrecognizedClientException",
                   "The security token included in the request is invalid.");
  if (known->expires && *known->expires <= now)
    return refusal("ExpiredTokenException",
                   "The security token included in the request is expired");
  return std::nullopt;
}

}  // namespace

std::optional<signature_claim> read_signature(std::string_view authorization) {
  if (!authorization.starts_with(algorithm)) return std::nullopt;
  signature_claim claim;
  std::string_view credential = part(authorization, "Credential=");
  claim.access_key_id = next_part(credential);
  claim.date = next_part(credential);
  claim.region = next_part(credential);
  claim.service = next_part(credential);
  claim.signed_headers = part(authorization, "SignedHeaders=");
  claim.signature = part(authorization, "Signature=");
  const bool complete = !claim.access_key_id.empty() && credential == "aws4_request" &&
                        !claim.signed_headers.empty() && claim.signature.size() == 64;
  return complete ? std::optional(claim) : std::nullopt;
}

digest sigv4_checker::signing_key(const signature_claim& claim, const std::string& secret) {
  std::string scope;
  scope.append(claim.date).append("/").append(claim.region).append("/").append(claim.service);
  scope.append("/").append(secret);
  const std::string id(claim.access_key_id);
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = keys_.find(id); found != keys_.end() && found->second.scope == scope)
      return found->second.key;
  }
  digest key = hmac_sha256("AWS4" + secret, claim.date);
  for (const std::string_view next :
       {claim.region, claim.service, std::string_view("aws4_request")})
    key = hmac_sha256(bytes_of(key), next);
  const std::lock_guard lock(mutex_);
  keys_[id] = {scope, key};
  return key;
}

std::optional<error_reply> sigv4_checker::check(const request_head& head, std::string_view body,
                                                const signature_claim& claim,
                                                const aws_credential* known,
                                                const signing_scope& scope, time_point now) {
  if (auto refused = check_keys(head, known, now)) return refused;
  const auto date = field_value(head.fields, "x-amz-date").value_or("");
  if (auto refused = check_scope(claim, scope)) return refused;
  if (auto refused = check_time(claim, date, now)) return refused;
  if (const auto missing = unsigned_header(head.fields, claim.signed_headers); !missing.empty())
    return bad_signature("'" + missing + "' must be a 'SignedHeader' in the AWS Authorization.");

  std::string request(head.method);
  request += '\n';
  append_encoded_path(head.path, request);
  request += '\n';
  append_sorted_query(head.query, request);
  request += '\n';
  const bool there = append_signed_headers(head.fields, claim.signed_headers, request);
  request.append("\n").append(claim.signed_headers).append("\n");
  append_hex_digits(bytes_of(sha256(body)), request);

  std::string to_sign(algorithm);
  to_sign.append("\n").append(date).append("\n");
  to_sign.append(claim.date).append("/").append(claim.region).append("/").append(claim.service);
  to_sign += "/aws4_request\n";
  append_hex_digits(bytes_of(sha256(request)), to_sign);
  std::string expected;
  append_hex_digits(bytes_of(hmac_sha256(bytes_of(signing_key(claim, known->secret)), to_sign)),
                    expected);
  if (there && expected == claim.signature) return std::nullopt;
  return bad_signature(
      "The request signature we calculated does not match the signature you provided. Check your "
      "AWS Secret Access Key and signing method. Consult the service documentation for details.");
}

}  // namespace spillway::simulated
