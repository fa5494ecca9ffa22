#include "workers/auth/authenticator.hpp"

#include <gmock/gmock.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace spillway {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* variable = "SPILLWAY_TEST_API_KEY";

pool_config pool_with(provider_kind provider, std::optional<secret_ref> key,
                      std::string endpoint = "https://api.example/v1") {
  pool_config pool;
  pool.name = "p1";
  pool.provider = provider;
  pool.endpoint = std::move(endpoint);
  if (key) pool.auth = api_key_auth{*std::move(key)};
  return pool;
}

secret_ref from_env() { return {secret_ref::source::env, variable}; }

std::string headers_of(const pool_config& pool) {
  const auto made = make_authenticator(pool);
  if (!made) return "failed: " + made.error().message;
  http_request request;
  request.headers = "A: b\r\n";
  const auto used = (*made)->authenticate(request);
  return used ? request.headers : "failed: " + used.error().message;
}

class auth : public testing::Test {
 protected:
  auth() {
    std::string name = (std::filesystem::temp_directory_path() / "spillway-key-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd >= 0) ::close(fd);
    path_ = name;
  }
  ~auth() override {
    std::filesystem::remove(path_);
    ::unsetenv(variable);
  }
  secret_ref file_with(std::string_view content) {
    std::ofstream(path_, std::ios::binary) << content;
    return {secret_ref::source::file, path_};
  }
  std::string path_;
};

TEST_F(auth, openai_forms_take_a_bearer_header) {
  ::setenv(variable, "sk-123", 1);
  for (const auto provider : {provider_kind::openai, provider_kind::openai_compatible})
    EXPECT_EQ(headers_of(pool_with(provider, from_env())),
              "A: b\r\nAuthorization: Bearer sk-123\r\n");
}

TEST_F(auth, azure_takes_an_api_key_header) {
  ::setenv(variable, "abc", 1);
  EXPECT_EQ(headers_of(pool_with(provider_kind::azure_openai, from_env())),
            "A: b\r\napi-key: abc\r\n");
}

TEST_F(auth, without_a_secret_nothing_is_added) {
  EXPECT_EQ(headers_of(pool_with(provider_kind::openai_compatible, std::nullopt, "http://far/v1")),
            "A: b\r\n");
}

TEST_F(auth, a_files_last_line_breaks_are_not_part_of_the_key) {
  for (const char* content : {"sk-1", "sk-1\n", "sk-1\r\n", "sk-1\n\n"})
    EXPECT_EQ(headers_of(pool_with(provider_kind::azure_openai, file_with(content))),
              "A: b\r\napi-key: sk-1\r\n");
}

TEST_F(auth, a_missing_secret_is_named) {
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, from_env())),
              testing::AllOf(HasSubstr("failed"), HasSubstr("pool p1"), HasSubstr(variable)));
  const secret_ref gone{secret_ref::source::file, "/nonexistent/key"};
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, gone)),
              HasSubstr("file:/nonexistent/key"));
  const secret_ref folder{secret_ref::source::file, "/tmp"};
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, folder)), HasSubstr("cannot be read"));
}

TEST_F(auth, an_empty_secret_is_refused) {
  ::setenv(variable, "", 1);
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, from_env())), HasSubstr("is empty"));
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, file_with("\n"))), HasSubstr("is empty"));
}

TEST_F(auth, what_a_header_cannot_carry_is_refused_without_repeating_it) {
  for (const char* value : {"hunter2\nX-Evil: 1", "hunter2\r", "hunter2\t", " hunter2", "hunter2 ",
                            "hunter2\xc3\xa9", "hunter2\x7f"}) {
    ::setenv(variable, value, 1);
    EXPECT_THAT(headers_of(pool_with(provider_kind::openai, from_env())),
                testing::AllOf(HasSubstr("cannot carry"), Not(HasSubstr("hunter2"))));
  }
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, file_with("hunter2\nhunter3\n"))),
              testing::AllOf(HasSubstr("cannot carry"), Not(HasSubstr("hunter"))));
  EXPECT_THAT(headers_of(pool_with(provider_kind::openai, file_with(std::string(100'000, 'k')))),
              HasSubstr("too large"));
}

TEST_F(auth, a_key_goes_over_plain_http_only_to_loopback) {
  ::setenv(variable, "sk-1", 1);
  for (const char* near : {"http://localhost:8000/v1", "http://127.0.0.1:1", "http://[::1]:1"})
    EXPECT_THAT(headers_of(pool_with(provider_kind::openai, from_env(), near)), HasSubstr("sk-1"));
  for (const char* far : {"http://api.example/v1", "http://127.0.0.1.example", "http://10.0.0.1"})
    EXPECT_THAT(headers_of(pool_with(provider_kind::openai, from_env(), far)),
                testing::AllOf(HasSubstr("plain HTTP"), Not(HasSubstr("sk-1"))));
}

}  // namespace
}  // namespace spillway
