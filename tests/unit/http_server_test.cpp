// The HTTP server over real sockets: framing, limits, slow and silent clients, its end.
#include "orchestrator/service/http_server.hpp"
#include "tests/support/raw_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace spillway::service {
namespace {

using namespace std::chrono_literals;
using test::raw_client;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::size_t big = 64u << 20;  // more than the kernel buffers of a connection

http_server start(server_settings settings, handler h) {
  auto started = http_server::start(std::move(settings), std::move(h));
  if (!started) throw std::runtime_error(started.error().message);
  return std::move(*started);
}

/// Shows what was asked; /big is longer than any buffer, /throw is a bug.
response echo(const request& asked) {
  if (asked.path == "/throw") throw std::runtime_error("a \"bug\"");
  response out;
  out.content_type = "text/plain";
  if (asked.path == "/big")
    out.body.assign(big, 'x');
  else
    out.body = std::string(asked.method) + " " + std::string(asked.path) + " [" +
               std::string(asked.query) + "]";
  return out;
}

std::string get(const std::string& target, const std::string& more = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: x\r\n" + more + "\r\n";
}

/// Sends all of it and reads until the server ends the connection.
std::string last_answer(const http_server& server, const std::string& bytes) {
  raw_client client(server.port());
  client.send(bytes);
  return client.read_to_end();
}

TEST(http_server, requests_share_a_connection_whole_in_pieces_and_pipelined) {
  const auto server = start({}, echo);
  EXPECT_EQ(server.url(), "http://127.0.0.1:" + std::to_string(server.port()));
  raw_client client(server.port());
  client.send(get("/a?x=1&y=%20#z"));
  const auto first = client.response();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(first, HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(first, HasSubstr("Cache-Control: no-store\r\n"));
  EXPECT_THAT(first, EndsWith("\r\n\r\nGET /a [x=1&y=%20]"));
  for (const char c : get("/b")) client.send(std::string(1, c));
  EXPECT_THAT(client.response(), EndsWith("GET /b []"));
  client.send(get("/c") + get("/d") + get("/e", "Connection: close\r\n"));
  EXPECT_THAT(client.response(), EndsWith("GET /c []"));
  EXPECT_THAT(client.response(), EndsWith("GET /d []"));
  EXPECT_THAT(client.read_to_end(), EndsWith("GET /e []"));
}

TEST(http_server, head_has_the_length_without_the_body) {
  const auto server = start({}, echo);
  raw_client client(server.port());
  client.send("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.head(), HasSubstr("Content-Length: 9\r\n"));
  client.send(get("/b"));
  EXPECT_THAT(client.response(), EndsWith("\r\n\r\nGET /b []"));
}

TEST(http_server, bodies_are_read_and_ignored) {
  const auto server = start({}, echo);
  raw_client client(server.port());
  client.send("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + get("/b"));
  EXPECT_THAT(client.response(), EndsWith("POST /a []"));
  EXPECT_THAT(client.response(), EndsWith("GET /b []"));
}

TEST(http_server, http_1_0_ends_the_connection) {
  const auto server = start({}, echo);
  EXPECT_THAT(last_answer(server, "GET /a HTTP/1.0\r\n\r\n"), EndsWith("\r\n\r\nGET /a []"));
}

TEST(http_server, what_is_no_request_is_refused_as_json) {
  const auto server = start({}, echo);
  const auto refused = [&](const std::string& bytes) { return last_answer(server, bytes); };
  EXPECT_THAT(refused("\x16\x03\x01\x02garbage\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(refused("GET /\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(refused(get("/", "Content-Length: two\r\n")), StartsWith("HTTP/1.1 400 "));
  const auto no_host = refused("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(no_host, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(no_host, HasSubstr(R"({"error":{"status":400,"message":")"));
  EXPECT_THAT(refused(get("http://x/", "Connection: close\r\n")), StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(last_answer(server, get("/throw", "Connection: close\r\n")),
              HasSubstr(R"({"error":{"status":500,"message":"a \"bug\""}})"));
}

TEST(http_server, requests_are_bounded) {
  server_settings settings;
  settings.header_bytes_max = 1000;
  settings.body_bytes_max = 2000;
  const auto server = start(settings, echo);
  EXPECT_THAT(last_answer(server, get("/" + std::string(1000, 'a'))), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(last_answer(server, "GET /" + std::string(100'000, 'a')),
              StartsWith("HTTP/1.1 431 "));
  const std::string announced = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2001\r\n\r\n";
  EXPECT_THAT(last_answer(server, announced), StartsWith("HTTP/1.1 413 "));
  std::string chunks = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 3; ++i) chunks += "3e8\r\n" + std::string(1000, 'b') + "\r\n";
  EXPECT_THAT(last_answer(server, chunks), StartsWith("HTTP/1.1 413 "));
}

TEST(http_server, silent_and_slow_clients_are_cut_off) {
  server_settings settings;
  settings.idle_timeout = 20ms;
  settings.request_timeout = 20ms;
  settings.response_timeout = 20ms;
  const auto server = start(settings, echo);
  EXPECT_EQ(last_answer(server, ""), "");
  EXPECT_EQ(last_answer(server, "GET / HT"), "");
  raw_client never_reads(server.port());
  never_reads.send(get("/big"));
  EXPECT_THAT(last_answer(server, get("/a", "Connection: close\r\n")), EndsWith("GET /a []"))
      << "others are served meanwhile";
}

TEST(http_server, the_connection_idle_for_longest_makes_room) {
  server_settings settings;
  settings.connections_max = 2;
  const auto server = start(settings, echo);
  raw_client first(server.port()), second(server.port());
  for (raw_client* c : {&second, &first}) {
    c->send(get("/a"));
    EXPECT_THAT(c->response(), EndsWith("GET /a []"));
  }
  EXPECT_THAT(last_answer(server, get("/b", "Connection: close\r\n")), EndsWith("GET /b []"));
  EXPECT_EQ(second.read_to_end(), "");
  first.send(get("/c"));
  EXPECT_THAT(first.response(), EndsWith("GET /c []"));
}

TEST(http_server, without_an_idle_connection_new_ones_wait) {
  server_settings settings;
  settings.connections_max = 1;
  const auto server = start(settings, echo);
  raw_client busy(server.port());
  busy.send(get("/big"));
  busy.head();  // from here on the server is answering it
  raw_client waiting(server.port());
  waiting.send(get("/b"));
  EXPECT_EQ(busy.read(big / 2).size(), big / 2);
  EXPECT_FALSE(waiting.readable());
  EXPECT_EQ(busy.read(big / 2).size(), big / 2);
  EXPECT_THAT(waiting.response(), EndsWith("GET /b []"));
}

TEST(http_server, stops_while_clients_hang) {
  server_settings settings;
  settings.stop_grace = 10ms;
  auto server = start(settings, echo);
  const auto port = server.port();
  raw_client idle(port), half(port), never_reads(port);
  idle.send(get("/a"));
  EXPECT_THAT(idle.response(), EndsWith("GET /a []"));
  half.send("GET /half HTTP/1.1\r\nHo");
  never_reads.send(get("/big"));
  EXPECT_THAT(never_reads.head(), StartsWith("HTTP/1.1 200 OK"));
  server.stop();
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(half.read_to_end(), "");
  EXPECT_LT(never_reads.read_to_end().size(), big);
  EXPECT_THROW(raw_client{port}, std::runtime_error);
  server.stop();
}

TEST(http_server, a_response_under_way_survives_a_stop) {
  server_settings settings;
  settings.stop_grace = 1h;
  auto server = start(settings, echo);
  raw_client client(server.port());
  client.send(get("/big"));
  EXPECT_THAT(client.head(), StartsWith("HTTP/1.1 200 OK"));
  std::thread stopping([&] { server.stop(); });
  EXPECT_EQ(client.read_to_end().size(), big);
  stopping.join();
}

TEST(http_server, a_place_it_cannot_have_is_a_usage_failure) {
  const auto server = start({}, echo);
  server_settings settings;
  settings.port = server.port();
  const auto taken = http_server::start(settings, echo);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, failure_kind::usage);
  EXPECT_THAT(taken.error().message, HasSubstr("127.0.0.1:" + std::to_string(settings.port)));
  settings.host = "example.org";
  EXPECT_THAT(http_server::start(settings, echo).error().message,
              HasSubstr("expected an IP address"));
}

TEST(http_server, knows_which_addresses_others_can_reach) {
  for (const char* host : {"127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"})
    EXPECT_TRUE(is_loopback(host)) << host;
  for (const char* host : {"0.0.0.0", "::", "10.0.0.1", "example.org", ""})
    EXPECT_FALSE(is_loopback(host)) << host;
}

}  // namespace
}  // namespace spillway::service
