#include "orchestrator/runtime/masking.hpp"

#include <algorithm>
#include <array>

namespace spillway {

namespace {

constexpr std::string_view mask = "***";
constexpr std::size_t secret_bytes_min = 6;  ///< shorter ones are words

bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_upper(c) || is_lower(c) || is_digit(c); }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

/// Of a word that may be a key or a token; '*' where its owner masked a part of it already.
bool is_of_word(char c) {
  return is_alnum(c) || std::string_view("-_.~+=*").find(c) != std::string_view::npos;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (is_upper(c)) c = static_cast<char>(c - 'A' + 'a');
  return out;
}

/// A run of letters and digits as a generator makes it, not a person.
bool is_random(std::string_view run) {
  const auto count = [&](auto is) { return std::count_if(run.begin(), run.end(), is); };
  const auto digits = count(is_digit);
  if (run.size() >= 32 && digits > 0 && std::all_of(run.begin(), run.end(), is_hex)) return true;
  return run.size() >= 20 && digits >= 2 && count(is_upper) > 0 && count(is_lower) > 0;
}

bool has_random_run(std::string_view word) {
  for (auto from = word.begin(); from != word.end();) {
    const auto to = std::find_if_not(from, word.end(), is_alnum);
    if (is_random(std::string_view(from, to))) return true;
    from = std::find_if(to, word.end(), is_alnum);
  }
  return false;
}

bool looks_like_secret(std::string_view word, std::string_view before) {
  constexpr std::array<std::string_view, 14> beginnings = {
      "sk-", "sk_",  "pk-", "AKIA", "ASIA", "AIza", "ya29.",
      "eyJ", "ABSK", "hf_", "gsk_", "xai-", "ghp_", "bedrock-api-key-"};
  if (word.size() >= 12 &&
      std::any_of(beginnings.begin(), beginnings.end(),
                  [&](std::string_view beginning) { return word.starts_with(beginning); }))
    return true;
  const auto scheme = lower(before);
  if ((scheme == "bearer" || scheme == "basic") && word.size() >= secret_bytes_min &&
      std::any_of(word.begin(), word.end(), is_digit))
    return true;
  return has_random_run(word);
}

void keep(std::string_view secret, std::vector<std::string>& to) {
  if (secret.size() >= secret_bytes_min) to.emplace_back(secret);
}

/// "Bearer TOKEN", or a signature: "AWS4-HMAC-SHA256 Credential=ID/…, …, Signature=…".
void keep_authorization(std::string_view value, std::vector<std::string>& to) {
  const auto part = [&](std::string_view name, std::string_view end) {
    const auto at = value.find(name);
    if (at == std::string_view::npos) return;
    const auto rest = value.substr(at + name.size());
    keep(rest.substr(0, rest.find_first_of(end)), to);
  };
  if (!value.starts_with("AWS4-")) return keep(value.substr(value.rfind(' ') + 1), to);
  part("Credential=", "/");
  part("Signature=", ", ");
}

}  // namespace

std::string masked(std::string text, std::span<const std::string> secrets) {
  for (const auto& secret : secrets) {
    if (secret.empty()) continue;
    for (auto at = text.find(secret); at != std::string::npos;
         at = text.find(secret, at + mask.size()))
      text.replace(at, secret.size(), mask);
    for (auto length = secret.size() - 1; length >= secret_bytes_min; --length) {
      if (!text.ends_with(std::string_view(secret).substr(0, length))) continue;
      text.replace(text.size() - length, length, mask);
      break;
    }
  }
  return text;
}

std::string masked_lookalikes(std::string_view text) {
  std::string out;
  std::string_view before;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    while (end < text.size() && is_of_word(text[end])) ++end;
    const auto word = text.substr(at, end - at);
    if (word.empty()) {
      out += text[at++];
      continue;
    }
    out += looks_like_secret(word, before) ? mask : word;
    before = word;
    at = end;
  }
  return out;
}

std::vector<std::string> secrets_in(std::string_view header_lines) {
  std::vector<std::string> out;
  while (!header_lines.empty()) {
    const auto end = header_lines.find("\r\n");
    const auto line = header_lines.substr(0, end);
    header_lines =
        end == std::string_view::npos ? std::string_view() : header_lines.substr(end + 2);
    const auto colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    const auto name = lower(line.substr(0, colon));
    const auto value = line.substr(colon + 2);
    if (name == "authorization")
      keep_authorization(value, out);
    else if (name.ends_with("key") || name.ends_with("token"))
      keep(value, out);
  }
  return out;
}

}  // namespace spillway
