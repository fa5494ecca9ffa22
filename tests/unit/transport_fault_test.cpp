// What a call gets back from servers that misbehave, and whether it may have been billed.
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"

#include <gmock/gmock.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

namespace spillway::test {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// Reads one request, sends `bytes`, then ends the connection in the given way.
scripted_server::script answer_then(std::string bytes, void (peer::*end)()) {
  return [bytes, end](peer& p, int) {
    if (!p.read_request()) return;
    p.send(bytes);
    (p.*end)();
  };
}

TEST(transport_fault, a_stale_connection_is_replaced_before_it_is_used) {
  for (auto end : {&peer::close, &peer::reset}) {
    std::promise<void> first_answered, closed;
    scripted_server server([&](peer& p, int number) {
      while (p.read_request()) {
        p.answer("{}");
        if (number > 0) continue;
        first_answered.get_future().wait();
        (p.*end)();
        closed.set_value();
        return;
      }
    });
    transport_harness client(pool_at(server.endpoint()));
    EXPECT_EQ(client.one(1).error, transport_error::none);
    first_answered.set_value();
    closed.get_future().wait();
    const auto second = client.one(2);
    EXPECT_EQ(second.error, transport_error::none) << second.detail;
    EXPECT_EQ(server.accepted(), 2);
  }
}

TEST(transport_fault, unasked_bytes_never_become_the_next_answer) {
  scripted_server server([](peer& p, int) {
    while (p.read_request()) {
      p.send(
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: "
          "5\r\n\r\nwrong");
    }
  });
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one(1).response.body, "ok");
  EXPECT_EQ(client.one(2).response.body, "ok");
  EXPECT_EQ(server.accepted(), 2);
}

TEST(transport_fault, an_end_in_the_middle_of_the_answer_is_a_reset) {
  const std::string half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
  const std::string half_chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel";
  for (const auto& bytes : {half, half_chunked, std::string("HTTP/1.1 200 O"), std::string()}) {
    for (auto end : {&peer::close, &peer::reset}) {
      scripted_server server(answer_then(bytes, end));
      transport_harness client(pool_at(server.endpoint()));
      const auto result = client.one();
      EXPECT_EQ(result.error, transport_error::reset) << bytes;
      EXPECT_TRUE(result.written);
      EXPECT_FALSE(result.detail.empty());
      EXPECT_EQ(result.response.status, 0) << "half an answer is no answer";
      EXPECT_TRUE(result.response.body.empty());
    }
  }
}

TEST(transport_fault, a_reset_does_not_complete_a_body_that_ends_with_the_connection) {
  // The bytes may be dropped by the reset or read before it; both must end as a reset.
  scripted_server server(answer_then("HTTP/1.1 200 OK\r\n\r\npart", &peer::reset));
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one().error, transport_error::reset);
}

TEST(transport_fault, silence_times_out_after_the_lanes_timeout) {
  for (const char* begin : {"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"}) {
    scripted_server server([&](peer& p, int) {
      p.read_request();
      p.send(begin);
      p.wait_closed();
    });
    auto pool = pool_at(server.endpoint());
    pool.lanes[0].timeout = milliseconds(30);
    transport_harness client(pool);
    const auto result = client.one();
    EXPECT_EQ(result.error, transport_error::timed_out);
    EXPECT_TRUE(result.written);
    EXPECT_GE(result.done_at - result.sent_at, milliseconds(30));
    EXPECT_THAT(result.detail, HasSubstr("30 ms"));
  }
}

TEST(transport_fault, waiting_in_the_queue_is_no_timeout) {
  scripted_server server([](peer& p, int) {
    for (int served = 0; p.read_request(); ++served) {
      if (served < 2) p.wait_closed();  // lets the first of each connection time out
    }
  });
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  pool.lanes[0].timeout = milliseconds(20);
  transport_harness client(pool);
  client.send(1, 3);
  const auto results = client.wait(3);
  for (const auto& r : results) {
    EXPECT_EQ(r.error, transport_error::timed_out);
    EXPECT_TRUE(r.written) << "each had its own full time on a connection";
  }
}

TEST(transport_fault, what_is_not_http_is_malformed) {
  for (const char* bytes : {"220 smtp.example ESMTP\r\n\r\n", "HTTP/9.9 200 OK\r\n\r\n",
                            "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n",
                            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
                            "HTTP/1.1 101 Switching Protocols\r\n\r\n"}) {
    scripted_server server(answer_then(bytes, &peer::wait_closed));
    transport_harness client(pool_at(server.endpoint()));
    const auto result = client.one();
    EXPECT_EQ(result.error, transport_error::malformed) << bytes;
    EXPECT_TRUE(result.written);
  }
}

TEST(transport_fault, too_much_is_cut_off) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string big(5000, 'x');
  transport_limits limits;
  limits.response_bytes_max = 4000;
  limits.header_bytes_max = 3000;
  for (const std::string& bytes :
       {ok + "Content-Length: 4001\r\n\r\n", ok + "Content-Length: 99999999999999999\r\n\r\n",
        ok + "\r\n" + big,
        ok + "Transfer-Encoding: chunked\r\n\r\n1388\r\n" + big + "\r\n0\r\n\r\n",
        ok + "X-Large: " + big + "\r\n\r\n", ok + "X-Large: " + big}) {
    scripted_server server(answer_then(bytes, &peer::wait_closed));
    transport_harness client(pool_at(server.endpoint()), limits);
    const auto result = client.one();
    EXPECT_EQ(result.error, transport_error::too_large) << bytes.substr(0, 60) << result.detail;
    EXPECT_TRUE(result.written);
  }
  scripted_server server(
      answer_then(ok + "Content-Length: 4000\r\n\r\n" + big.substr(0, 4000), &peer::wait_closed));
  transport_harness client(pool_at(server.endpoint()), limits);
  EXPECT_EQ(client.one().error, transport_error::none) << "the limit itself is allowed";
}

TEST(transport_fault, an_answer_before_the_request_was_read_counts) {
  for (auto end : {&peer::close, &peer::wait_closed}) {
    scripted_server server([&](peer& p, int) {
      if (!p.read_head()) return;
      p.send(
          "HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: "
          "close\r\n\r\nbig");
      (p.*end)();
    });
    transport_harness client(pool_at(server.endpoint()));
    const auto result = client.one(1, std::string(16u << 20, 'b'));
    EXPECT_EQ(result.error, transport_error::none) << result.detail;
    EXPECT_EQ(result.response.status, 413);
    EXPECT_EQ(result.response.body, "big");
  }
}

TEST(transport_fault, a_refused_port_sends_nothing) {
  int port = 0;
  ::close(listen_on_loopback(1, port));
  transport_harness client(pool_at("http://127.0.0.1:" + std::to_string(port)));
  client.send(0, 600);  // more than there may be connections
  for (const auto& r : client.wait(600)) {
    EXPECT_EQ(r.error, transport_error::connect);
    EXPECT_FALSE(r.written);
    EXPECT_THAT(r.detail, HasSubstr("refused"));
  }
  for (const auto& [id, times] : client.times_returned()) EXPECT_EQ(times, 1) << id;
}

TEST(transport_fault, connecting_to_a_silent_host_times_out) {
  // A full backlog: Linux drops further SYNs, as a firewall would.
  int port = 0;
  const int listener = listen_on_loopback(0, port);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fillers[4];
  for (int& fd : fillers) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  transport_limits limits;
  limits.connect_timeout = milliseconds(30);
  transport_harness client(pool_at("http://127.0.0.1:" + std::to_string(port)), limits);
  const auto result = client.one();
  EXPECT_EQ(result.error, transport_error::connect);
  EXPECT_FALSE(result.written);
  EXPECT_THAT(result.detail, HasSubstr("timed out"));
  for (const int fd : fillers) ::close(fd);
  ::close(listener);
}

TEST(transport_fault, a_server_that_comes_back_is_found_again) {
  int port = 0;
  const int listener = listen_on_loopback(16, port);
  transport_harness client(pool_at("http://localhost:" + std::to_string(port)));
  ::close(listener);
  EXPECT_EQ(client.one(1).error, transport_error::connect);
  const int again = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int one = 1;
  ::setsockopt(again, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::bind(again, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    GTEST_SKIP() << "another process took the port";
  ::listen(again, 16);
  std::thread server([again] {
    peer p(::accept(again, nullptr, nullptr));
    if (p.read_request()) p.answer("back");
  });
  EXPECT_EQ(client.one(2).response.body, "back");
  server.join();
  ::close(again);
}

TEST(transport_fault, random_faults_lose_and_double_nothing) {
  // Each connection misbehaves by its number; every call still comes back exactly once.
  scripted_server server([](peer& p, int number) {
    for (int served = 0; p.read_request(); ++served) {
      switch ((number * 7 + served) % 6) {
        case 0: return p.close();
        case 1: return p.reset();
        case 2: p.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"); return p.close();
        case 3: p.send("rubbish\r\n\r\n"); return p.close();
        default: p.answer("{}");
      }
    }
  });
  auto pool = pool_at(server.endpoint(), 2);
  pool.connections = 16;
  transport_harness client(pool);
  client.send(0, 200, 0);
  client.send(200, 200, 1);
  const auto results = client.wait(400);
  for (const auto& r : results) {
    const bool whole = r.error == transport_error::none;
    EXPECT_EQ(whole, r.response.status == 200);
    EXPECT_EQ(whole, r.detail.empty());
  }
  const auto times = client.times_returned();
  EXPECT_EQ(times.size(), 400u);
  for (const auto& [id, n] : times) EXPECT_EQ(n, 1) << id;
}

}  // namespace
}  // namespace spillway::test
