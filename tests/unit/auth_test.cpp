#include "tests/unit/fake_auth_world.hpp"
#include "workers/auth/authenticator.hpp"

#include <gmock/gmock.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

namespace spillway {
namespace {

using namespace std::chrono_literals;
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

TEST_F(auth, anthropic_takes_a_header_of_its_own_and_bearers_are_bearers) {
  ::setenv(variable, "abc", 1);
  auto pool = pool_with(provider_kind::anthropic, from_env());
  EXPECT_EQ(headers_of(pool), "A: b\r\nx-api-key: abc\r\n");
  for (const auto provider : {provider_kind::anthropic, provider_kind::azure_openai}) {
    pool.provider = provider;
    pool.auth = bearer_auth{from_env()};
    EXPECT_EQ(headers_of(pool), "A: b\r\nAuthorization: Bearer abc\r\n");
  }
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

/// A pool whose key is in a file, in a world where time stands still unless it is moved.
class auth_rotation : public auth {
 protected:
  std::unique_ptr<authenticator> made() {
    auto out = make_authenticator(pool_with(provider_kind::azure_openai, file_with("one")), world_);
    EXPECT_TRUE(out) << out.error().message;
    return out ? *std::move(out) : nullptr;
  }
  std::string header(const authenticator& a) {
    http_request request;
    const auto used = a.authenticate(request);
    return used ? request.headers : "failed: " + used.error().message;
  }
  fake_auth_world world_;
};

TEST_F(auth_rotation, a_changed_file_is_used_within_seconds) {
  const auto a = made();
  EXPECT_EQ(header(*a), "api-key: one\r\n");
  const auto before = a->generation();
  file_with("two!");
  world_.at += 2s;
  EXPECT_EQ(header(*a), "api-key: two!\r\n");
  EXPECT_EQ(a->generation(), before + 1);
}

TEST_F(auth_rotation, the_same_size_and_a_new_file_in_its_place_are_seen) {
  const auto a = made();
  for (const char* key : {"two", "six"}) {
    const auto other = path_ + ".new";
    std::ofstream(other, std::ios::binary) << key;
    std::filesystem::rename(other, path_);
    world_.at += 2s;
    EXPECT_EQ(header(*a), "api-key: " + std::string(key) + "\r\n");
  }
}

TEST_F(auth_rotation, a_refusal_reads_the_file_at_once) {
  const auto a = made();
  const auto used = a->generation();
  file_with("second");
  EXPECT_EQ(header(*a), "api-key: one\r\n") << "not a second has passed";
  EXPECT_EQ(a->refused(used), refused_advice::resend);
  EXPECT_EQ(header(*a), "api-key: second\r\n");
  EXPECT_EQ(a->refused(used), refused_advice::resend) << "another call with the old key";
}

TEST_F(auth_rotation, an_unchanged_file_that_is_refused_stops_until_it_changes) {
  const auto a = made();
  const auto used = a->generation();
  EXPECT_EQ(a->refused(used), refused_advice::resend);
  EXPECT_EQ(header(*a), "api-key: one\r\n");
  EXPECT_EQ(a->refused(used), refused_advice::stop);
  EXPECT_EQ(a->generation(), used);
  file_with("second");
  world_.at += 2s;
  EXPECT_EQ(a->generation(), used + 1) << "seen without a call: the lane is down";
}

TEST_F(auth_rotation, a_file_that_is_away_or_empty_for_a_while_keeps_the_old_key) {
  const auto a = made();
  std::filesystem::remove(path_);
  for (int i = 0; i < 20; ++i) {
    world_.at += 2s;
    EXPECT_EQ(header(*a), "api-key: one\r\n");
  }
  EXPECT_EQ(a->missing(), std::nullopt);
  file_with("");
  world_.at += 2s;
  EXPECT_EQ(header(*a), "api-key: one\r\n");
  EXPECT_EQ(a->generation(), 1u);
  file_with("back");
  world_.at += 2s;
  EXPECT_EQ(header(*a), "api-key: back\r\n");
}

TEST_F(auth_rotation, a_thread_sees_the_change_without_any_call) {
  const auto a = make_authenticator(pool_with(provider_kind::azure_openai, file_with("one")));
  ASSERT_TRUE(a);
  file_with("another");
  const auto until = std::chrono::steady_clock::now() + 60s;
  while ((*a)->generation() < 2 && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  EXPECT_EQ(header(**a), "api-key: another\r\n");
}

}  // namespace
}  // namespace spillway
