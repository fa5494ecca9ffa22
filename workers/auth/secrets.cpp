#include "workers/auth/secrets.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

namespace spillway {
namespace {

constexpr std::size_t key_bytes_max = 16u << 10;
constexpr std::size_t document_bytes_max = 64u << 10;

failure bad_secret(const secret_ref& ref, std::string_view what) {
  return {failure_kind::usage, "the secret " + describe(ref) + " " + std::string(what)};
}

result<std::string> checked(const secret_ref& ref, std::string value, secret::form form) {
  while (value.ends_with('\n') || value.ends_with('\r')) value.pop_back();
  if (value.empty()) return bad_secret(ref, "is empty");
  if (form == secret::form::header_value && !fits_header(value))
    return bad_secret(ref,
                      "holds characters a header cannot carry (line breaks, control or non-ASCII "
                      "characters, or spaces around it)");
  return value;
}

}  // namespace

file_stamp file_stamp::of(std::string path) {
  file_stamp out;
  out.path = std::move(path);
  struct stat s {};
  if (::stat(out.path.c_str(), &s) != 0) return out;
  out.exists = true;
  out.device = s.st_dev;
  out.inode = s.st_ino;
  out.size = static_cast<std::uint64_t>(s.st_size);
  out.modified_ns = s.st_mtim.tv_sec * 1'000'000'000 + s.st_mtim.tv_nsec;
  return out;
}

std::string describe(const secret_ref& ref) {
  return (ref.from == secret_ref::source::env ? "env:" : "file:") + ref.name;
}

bool fits_header(std::string_view value) {
  const bool printable =
      std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
  return printable && !value.empty() && value.front() != ' ' && value.back() != ' ';
}

result<std::string> read_small_file(const std::string& path, std::size_t bytes_max) {
  const auto failed = [](std::string what) {
    return failure{failure_kind::usage, std::move(what)};
  };
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) return failed(std::string("cannot be read: ") + std::strerror(errno));
  std::string value(bytes_max + 1, '\0');
  file.read(value.data(), static_cast<std::streamsize>(value.size()));
  if (file.bad() || (file.fail() && !file.eof())) return failed("cannot be read");
  value.resize(static_cast<std::size_t>(file.gcount()));
  if (value.size() > bytes_max) return failed("is too large to be a key");
  return value;
}

result<secret> secret::make(secret_ref ref, const auth_world& world, form f) {
  secret out(std::move(ref), f);
  if (out.may_change()) {
    std::vector<file_stamp> unused;
    if (auto now = out.read(unused); !now) return now.error();
    return out;
  }
  const auto value = world.environment(out.ref_.name);
  if (!value)
    return bad_secret(out.ref_, "is not there: set the environment variable " + out.ref_.name);
  auto fit = checked(out.ref_, *value, f);
  if (!fit) return fit.error();
  // Line breaks at the end are a file's: in a variable they are a mistake.
  if (f == form::header_value && *fit != *value) return checked(out.ref_, *value + ' ', f).error();
  out.value_ = *std::move(fit);
  return out;
}

result<std::string> secret::read(std::vector<file_stamp>& files) const {
  if (!may_change()) return value_;
  files.push_back(file_stamp::of(ref_.name));
  auto value =
      read_small_file(ref_.name, form_ == form::document ? document_bytes_max : key_bytes_max);
  if (!value) return bad_secret(ref_, value.error().message);
  return checked(ref_, *std::move(value), form_);
}

}  // namespace spillway
