#include "workers/http.hpp"

#include <gmock/gmock.h>

namespace spillway {
namespace {

using testing::HasSubstr;

struct good_endpoint {
  const char* text;
  bool tls;
  const char* host;
  const char* port;
  const char* prefix;
  const char* authority;
};

TEST(http_endpoint, is_taken_apart) {
  const good_endpoint cases[] = {
      {"https://api.openai.com/v1", true, "api.openai.com", "443", "/v1", "api.openai.com"},
      {"http://localhost:8000", false, "localhost", "8000", "", "localhost:8000"},
      {"http://localhost:80/", false, "localhost", "80", "", "localhost"},
      {"HTTPS://ACME.example:8443/Openai/v1//", true, "acme.example", "8443", "/Openai/v1",
       "acme.example:8443"},
      {"http://[::1]:9/x", false, "::1", "9", "/x", "[::1]:9"},
      {"https://[2001:DB8::1]", true, "2001:db8::1", "443", "", "[2001:db8::1]"},
      {"http://10.0.0.1:00080", false, "10.0.0.1", "80", "", "10.0.0.1"},
      {"https://host:80", true, "host", "80", "", "host:80"},
  };
  for (const auto& c : cases) {
    const auto url = parse_endpoint(c.text);
    ASSERT_TRUE(url) << c.text << ": " << url.error().message;
    EXPECT_EQ(url->tls, c.tls) << c.text;
    EXPECT_EQ(url->host, c.host) << c.text;
    EXPECT_EQ(url->port, c.port) << c.text;
    EXPECT_EQ(url->prefix, c.prefix) << c.text;
    EXPECT_EQ(url->authority(), c.authority) << c.text;
  }
}

TEST(http_endpoint, a_bad_one_is_explained) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "https://"},
      {"api.openai.com/v1", "https://"},
      {"ftp://host", "scheme"},
      {"https://", "host is missing"},
      {"https:///v1", "host is missing"},
      {"https://:443", "host is missing"},
      {"https://host:0", "port"},
      {"https://host:65536", "port"},
      {"https://host:", "port"},
      {"https://host:44x", "port"},
      {"https://ho st", "character"},
      {"https://host\r\nX: y", "character"},
      {"https://::1/v1", "brackets"},
      {"https://[::1", "bracket"},
      {"https://[nope]", "IPv6"},
      {"https://[::1]x", "unexpected"},
      {"https://host/v1?key=1", "query"},
      {"https://host#x", "fragment"},
      {"https://host/a b", "space"},
      {"https://user@host/", "credentials"},
  };
  for (const auto& [text, why] : cases) {
    const auto url = parse_endpoint(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().kind, failure_kind::usage);
    EXPECT_THAT(url.error().message, HasSubstr(why)) << text;
  }
}

TEST(http_endpoint, a_password_in_it_is_not_repeated) {
  const auto url = parse_endpoint("https://user:hunter2@host/");
  ASSERT_FALSE(url);
  EXPECT_THAT(url.error().message, testing::Not(HasSubstr("hunter2")));
}

TEST(http_endpoint, loopback_is_recognised) {
  for (const char* text : {"http://localhost", "http://LOCALHOST:1", "http://127.0.0.1",
                           "http://127.9.8.7", "http://[::1]", "http://[0:0:0:0:0:0:0:1]"})
    EXPECT_TRUE(parse_endpoint(text)->is_loopback()) << text;
  for (const char* text :
       {"http://127.0.0.1.example.com", "http://localhost.example.com", "http://128.0.0.1",
        "http://0.0.0.0", "http://[::2]", "http://127.1", "http://10.0.0.1"})
    EXPECT_FALSE(parse_endpoint(text)->is_loopback()) << text;
}

TEST(http_headers, only_those_adapters_read_are_kept) {
  for (const char* name : {"retry-after", "retry-after-ms", "x-ratelimit-remaining-tokens",
                           "x-request-id", "apim-request-id", "x-should-retry", "content-type"})
    EXPECT_TRUE(is_kept_header(name)) << name;
  for (const char* name : {"", "date", "server", "set-cookie", "content-length", "x-ratelimit",
                           "x-request-ids", "retry", "Retry-After", "authorization"})
    EXPECT_FALSE(is_kept_header(name)) << name;
}

TEST(http_headers, are_found_by_name) {
  http_response response;
  response.headers = {{"a", "1"}, {"b", "2"}};
  EXPECT_EQ(response.header("b"), "2");
  EXPECT_EQ(response.header("c"), "");
}

}  // namespace
}  // namespace spillway
