#include "workers/auth/aws_profiles.hpp"

#include "workers/auth/secrets.hpp"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>

namespace spillway {
namespace {

constexpr std::size_t bytes_max = 1u << 20;

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\f\v";
  const auto from = text.find_first_not_of(blanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string home_of(const auth_world& world) {
  if (auto home = world.environment("HOME"); home && !home->empty()) return *home;
  const passwd* user = ::getpwuid(::getuid());
  return user && user->pw_dir ? user->pw_dir : "";
}

result<ini_file> read_ini(const file_stamp& file) {
  if (!file.exists) return ini_file{};
  const auto text = read_small_file(file.path, bytes_max);
  if (!text) return failure{failure_kind::usage, file.path + " " + text.error().message};
  return parse_ini(*text);
}

}  // namespace

ini_file parse_ini(std::string_view text) {
  ini_file out;
  ini_section* section = nullptr;
  std::string* value = nullptr;  // of the last option, which an indented line goes on with
  std::size_t option_indent = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    const auto indent = line.find_first_not_of(" \t");
    if (value != nullptr && indent > option_indent) {
      value->append("\n").append(content);
      continue;
    }
    value = nullptr;
    if (content.front() == '[') {
      const auto close = content.find(']');
      if (close == std::string_view::npos) continue;
      section = &out[std::string(content.substr(1, close - 1))];
      continue;
    }
    const auto at = content.find_first_of("=:");
    if (section == nullptr || at == std::string_view::npos) continue;
    value = &(*section)[lower(trimmed(content.substr(0, at)))];
    *value = trimmed(content.substr(at + 1));
    option_indent = indent;
  }
  return out;
}

ini_file profiles_of_config(ini_file file) {
  ini_file out;
  for (auto& [head, values] : file) {
    if (head == "default") {
      out[head].merge(values);
      continue;
    }
    std::string_view name = head;
    if (!name.starts_with("profile")) continue;
    name.remove_prefix(7);
    if (name.empty() || (name.front() != ' ' && name.front() != '\t')) continue;
    name = trimmed(name);
    const bool quoted = name.size() >= 2 && (name.front() == '"' || name.front() == '\'') &&
                        name.back() == name.front();
    if (quoted) name = name.substr(1, name.size() - 2);
    if (!name.empty()) out[std::string(name)] = std::move(values);
  }
  return out;
}

ini_section aws_profiles::merged(std::string_view profile) const {
  ini_section out;
  if (const auto found = shared.find(profile); found != shared.end()) out = found->second;
  if (const auto found = config.find(profile); found != config.end())
    out.insert(found->second.begin(), found->second.end());
  return out;
}

bool aws_profiles::has(std::string_view profile) const {
  return shared.find(profile) != shared.end() || config.find(profile) != config.end();
}

result<aws_profiles> read_aws_profiles(const auth_world& world) {
  const auto home = home_of(world);
  const auto path_of = [&](const char* variable, std::string_view name) {
    auto path = world.environment(variable).value_or("");
    if (path.empty()) path = "~/.aws/" + std::string(name);
    if (path.starts_with("~/")) path = home + path.substr(1);
    return path;
  };
  aws_profiles out;
  out.files = {file_stamp::of(path_of("AWS_SHARED_CREDENTIALS_FILE", "credentials")),
               file_stamp::of(path_of("AWS_CONFIG_FILE", "config"))};
  auto shared = read_ini(out.files[0]);
  if (!shared) return shared.error();
  auto config = read_ini(out.files[1]);
  if (!config) return config.error();
  out.shared = *std::move(shared);
  out.config = profiles_of_config(*std::move(config));
  return out;
}

}  // namespace spillway
