// The transport over TLS: who is trusted, what a failure says, and ends that may be forged.
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"

#include <gmock/gmock.h>

#include <unistd.h>
#include <cstdlib>
#include <filesystem>
#include <future>

namespace spillway::test {
namespace {

using testing::HasSubstr;

class transport_tls : public testing::Test {
 protected:
  transport_tls() {
    std::string name = (std::filesystem::temp_directory_path() / "spillway-ca-XXXXXX").string();
    const int fd = ::mkstemp(name.data());
    if (fd >= 0) ::close(fd);
    ca_file_ = name;
  }
  ~transport_tls() override { std::filesystem::remove(ca_file_); }

  pool_config pool_for(const scripted_server& server, const server_identity& trusted,
                       const std::string& host = "localhost") {
    trusted.write_authority(ca_file_);
    auto pool = pool_at("https://" + host + ":" + server.port());
    pool.ca_file = ca_file_;
    return pool;
  }

  std::string ca_file_;
};

void echo(peer& p, int) {
  while (auto request = p.read_request()) p.answer(request->substr(request->find("\r\n\r\n") + 4));
}

void expect_untrusted(const call_result& result, const char* why) {
  EXPECT_EQ(result.error, transport_error::tls);
  EXPECT_FALSE(result.written);
  EXPECT_THAT(result.detail, HasSubstr(why));
}

TEST_F(transport_tls, calls_pass_and_share_a_connection) {
  const auto id = server_identity::make("DNS:localhost");
  scripted_server server(&echo, &id);
  transport_harness client(pool_for(server, id));
  for (std::uint64_t n = 1; n <= 10; ++n) {
    const auto result = client.one(n);
    ASSERT_EQ(result.error, transport_error::none) << result.detail;
    EXPECT_TRUE(result.written);
    EXPECT_EQ(result.response.body, std::to_string(n));
  }
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(transport_tls, many_connections_at_once) {
  const auto id = server_identity::make("DNS:localhost");
  scripted_server server(&echo, &id);
  auto pool = pool_for(server, id);
  pool.connections = 16;
  transport_harness client(pool);
  client.send(0, 400);
  for (const auto& r : client.wait(400)) {
    EXPECT_EQ(r.error, transport_error::none) << r.detail;
    EXPECT_EQ(r.response.body, std::to_string(r.id.value()));
  }
}

TEST_F(transport_tls, large_bodies_pass_both_ways) {
  const auto id = server_identity::make("DNS:localhost");
  scripted_server server(&echo, &id);
  transport_harness client(pool_for(server, id));
  std::string body(3u << 20, 'x');
  for (std::size_t i = 0; i < body.size(); i += 991) body[i] = static_cast<char>('a' + i % 26);
  const auto result = client.one(1, body);
  EXPECT_EQ(result.error, transport_error::none) << result.detail;
  EXPECT_TRUE(result.response.body == body);
}

TEST_F(transport_tls, an_address_is_verified_too) {
  const auto id = server_identity::make("IP:127.0.0.1");
  scripted_server server(&echo, &id);
  EXPECT_EQ(transport_harness(pool_for(server, id, "127.0.0.1")).one(3).response.body, "3");
}

TEST_F(transport_tls, an_unknown_authority_is_refused_and_explained) {
  const auto id = server_identity::make("DNS:localhost");
  const auto other = server_identity::make("DNS:localhost");
  scripted_server server(&echo, &id);
  expect_untrusted(transport_harness(pool_for(server, other)).one(), "tls.ca_file");
  auto by_system = pool_for(server, id);
  by_system.ca_file.clear();
  expect_untrusted(transport_harness(by_system).one(), "tls.ca_file");
}

TEST_F(transport_tls, a_certificate_for_another_host_is_refused) {
  const auto id = server_identity::make("DNS:other.example,IP:127.0.0.2");
  scripted_server server(&echo, &id);
  expect_untrusted(transport_harness(pool_for(server, id)).one(), "another name");
  expect_untrusted(transport_harness(pool_for(server, id, "127.0.0.1")).one(), "another name");
}

TEST_F(transport_tls, an_expired_certificate_is_refused) {
  const auto id = server_identity::make("DNS:localhost", true);
  scripted_server server(&echo, &id);
  expect_untrusted(transport_harness(pool_for(server, id)).one(), "expired");
}

TEST_F(transport_tls, a_server_without_tls_is_named_as_such) {
  const auto id = server_identity::make("DNS:localhost");
  scripted_server server([](peer& p, int) {
    p.send("HTTP/1.1 400 Bad Request\r\n\r\n");
    p.wait_closed();
  });
  expect_untrusted(transport_harness(pool_for(server, id)).one(), "does not speak TLS");
}

TEST_F(transport_tls, a_silent_handshake_times_out) {
  const auto id = server_identity::make("DNS:localhost");
  scripted_server server([](peer& p, int) { p.wait_closed(); });
  transport_limits limits;
  limits.connect_timeout = std::chrono::milliseconds(60);
  expect_untrusted(transport_harness(pool_for(server, id), limits).one(), "timed out");
}

TEST_F(transport_tls, a_new_connection_resumes_the_session) {
  const auto id = server_identity::make("DNS:localhost");
  std::promise<bool> resumed;
  scripted_server server(
      [&](peer& p, int number) {
        if (number == 1) resumed.set_value(p.session_reused());
        if (p.read_request()) p.answer("{}", "Connection: close\r\n");
        p.close();
      },
      &id);
  transport_harness client(pool_for(server, id));
  EXPECT_EQ(client.one(1).error, transport_error::none);
  EXPECT_EQ(client.one(2).error, transport_error::none);
  EXPECT_TRUE(resumed.get_future().get());
}

TEST_F(transport_tls, a_connection_closed_while_idle_is_replaced) {
  const auto id = server_identity::make("DNS:localhost");
  for (auto end : {&peer::close, &peer::close_without_notify}) {
    std::promise<void> answered, closed;
    scripted_server server(
        [&](peer& p, int number) {
          while (p.read_request()) {
            p.answer("{}");
            if (number > 0) continue;
            answered.get_future().wait();
            (p.*end)();
            closed.set_value();
            return;
          }
        },
        &id);
    transport_harness client(pool_for(server, id));
    EXPECT_EQ(client.one(1).error, transport_error::none);
    answered.set_value();
    closed.get_future().wait();
    const auto second = client.one(2);
    EXPECT_EQ(second.error, transport_error::none) << second.detail;
    EXPECT_EQ(server.accepted(), 2);
  }
}

TEST_F(transport_tls, only_close_notify_ends_a_body_without_length) {
  const auto id = server_identity::make("DNS:localhost");
  for (const bool honest : {true, false}) {
    scripted_server server(
        [&](peer& p, int) {
          p.read_request();
          p.send("HTTP/1.1 200 OK\r\n\r\nthe body");
          if (honest)
            p.close();
          else
            p.close_without_notify();
        },
        &id);
    const auto result = transport_harness(pool_for(server, id)).one();
    EXPECT_EQ(result.error, honest ? transport_error::none : transport_error::reset);
    EXPECT_TRUE(result.written);
  }
}

TEST_F(transport_tls, an_unreadable_ca_file_is_refused_at_the_start) {
  auto pool = pool_at("https://localhost:1");
  pool.ca_file = "/nonexistent/ca.pem";
  const auto made = make_http_transport({pool}, {}, &steady_now, [](auto) {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("/nonexistent/ca.pem"));
}

}  // namespace
}  // namespace spillway::test
