#include "workers/transport/response_reader.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string_view>

namespace spillway::net {
namespace {

using state = response_reader::state;

/// Feeds `bytes` in pieces of at most `piece`; the state after the last one.
state feed(response_reader& reader, std::string_view bytes, std::size_t piece) {
  state now = state::need_more;
  while (!bytes.empty() && now == state::need_more) {
    const auto space = reader.space();
    const std::size_t n = std::min({piece, space.size(), bytes.size()});
    std::memcpy(space.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    now = reader.fill(n);
  }
  return now;
}

constexpr std::string_view chunked =
    "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nRetry-After: 1\r\n"
    "Transfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n";

TEST(response_reader, result_does_not_depend_on_how_the_bytes_arrive) {
  for (std::size_t piece = 1; piece <= chunked.size(); ++piece) {
    response_reader reader({});
    http_response response;
    reader.start(response);
    ASSERT_EQ(feed(reader, chunked, piece), state::complete) << piece;
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.body, "hello!");
    EXPECT_EQ(response.header("retry-after"), "1");
    EXPECT_EQ(response.headers.size(), 1u);
    EXPECT_TRUE(reader.reusable());
  }
}

TEST(response_reader, every_cut_short_stream_is_a_reset) {
  for (std::size_t length = 0; length < chunked.size(); ++length) {
    response_reader reader({});
    http_response response;
    reader.start(response);
    ASSERT_EQ(feed(reader, chunked.substr(0, length), 7), state::need_more) << length;
    EXPECT_EQ(reader.eof(), state::failed) << length;
    EXPECT_EQ(reader.error(), transport_error::reset) << length;
  }
}

TEST(response_reader, a_body_without_length_ends_with_the_connection) {
  response_reader reader({});
  http_response response;
  reader.start(response);
  EXPECT_EQ(feed(reader, "HTTP/1.1 200 OK\r\n\r\nabc", 4), state::need_more);
  EXPECT_EQ(reader.eof(), state::complete);
  EXPECT_EQ(response.body, "abc");
  EXPECT_FALSE(reader.reusable());
}

TEST(response_reader, many_responses_pass_through_one_reader) {
  response_reader reader({});
  for (int i = 0; i < 1000; ++i) {
    http_response response;
    reader.start(response);
    const std::string body(static_cast<std::size_t>(i) * 37, 'x');
    const std::string bytes =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    ASSERT_EQ(feed(reader, bytes, 4096), state::complete);
    ASSERT_EQ(response.body, body);
    ASSERT_TRUE(reader.reusable());
  }
}

TEST(response_reader, surplus_bytes_end_the_connections_use) {
  response_reader reader({});
  http_response response;
  reader.start(response);
  EXPECT_EQ(feed(reader, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", 4096), state::complete);
  EXPECT_EQ(response.body, "a");
  EXPECT_FALSE(reader.reusable());
}

TEST(response_reader, endless_lines_are_cut_off) {
  transport_limits limits;
  limits.header_bytes_max = 1000;
  const std::string endless(100'000, 'a');
  for (const char* head : {"", "HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 ",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;"}) {
    response_reader reader(limits);
    http_response response;
    reader.start(response);
    EXPECT_EQ(feed(reader, head + endless, 100), state::failed) << head;
    EXPECT_TRUE(reader.error() == transport_error::too_large ||
                reader.error() == transport_error::malformed);
  }
}

TEST(response_reader, endless_interim_responses_cost_no_memory) {
  response_reader reader({});
  http_response response;
  reader.start(response);
  for (int i = 0; i < 10'000; ++i)
    ASSERT_EQ(feed(reader, "HTTP/1.1 102 Processing\r\nX-Request-Id: r\r\n\r\n", 64),
              state::need_more);
  EXPECT_TRUE(response.headers.empty());
}

}  // namespace
}  // namespace spillway::net
