// What a call gets back from servers that behave.
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"

#include "orchestrator/runtime/fd_limit.hpp"

#include <gmock/gmock.h>

#include <atomic>
#include <future>

namespace spillway::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// Answers every request with its own body.
void echo(peer& p, int) {
  while (auto request = p.read_request()) p.answer(request->substr(request->find("\r\n\r\n") + 4));
}

/// Sends `answer` for every request, then closes when asked to.
scripted_server::script always(std::string answer, bool close_after = false) {
  return [answer, close_after](peer& p, int) {
    while (p.read_request()) {
      p.send(answer);
      if (close_after) return p.close();
    }
  };
}

TEST(transport, formats_the_request) {
  std::promise<std::string> seen;
  scripted_server server([&](peer& p, int) {
    if (auto request = p.read_request()) seen.set_value(*request);
    p.answer("{}");
    p.wait_closed();
  });
  transport_harness client(pool_at(server.endpoint()));
  const auto result = client.one(7, "{\"a\":1}");
  EXPECT_EQ(seen.get_future().get(),
            "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:" + server.port() +
                "\r\nContent-Length: 7\r\nContent-Type: "
                "application/json\r\n\r\n{\"a\":1}");
  EXPECT_EQ(result.id, call_id(7));
  EXPECT_EQ(result.error, transport_error::none);
  EXPECT_TRUE(result.written);
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.response.body, "{}");
  EXPECT_LE(result.sent_at, result.done_at);
  EXPECT_NE(result.sent_at, time_point{});
}

TEST(transport, keeps_only_the_headers_adapters_read) {
  scripted_server server(always(
      "HTTP/1.1 429 Too Many Requests\r\nServer: x\r\nRetry-After: 3\r\nX-RateLimit-Limit-Tokens: "
      "9\r\nSet-Cookie: a=b\r\nX-Request-ID: r1\r\nContent-Length: 2\r\n\r\nno"));
  transport_harness client(pool_at(server.endpoint()));
  const auto result = client.one();
  EXPECT_EQ(result.response.status, 429);
  EXPECT_THAT(result.response.headers,
              ElementsAre(Pair("retry-after", "3"), Pair("x-ratelimit-limit-tokens", "9"),
                          Pair("x-request-id", "r1")));
  EXPECT_EQ(result.response.body, "no");
}

TEST(transport, reuses_one_connection_for_calls_one_after_another) {
  scripted_server server(&echo);
  transport_harness client(pool_at(server.endpoint()));
  for (std::uint64_t id = 1; id <= 20; ++id)
    EXPECT_EQ(client.one(id).response.body, std::to_string(id));
  EXPECT_EQ(server.accepted(), 1);
}

TEST(transport, large_bodies_pass_both_ways) {
  scripted_server server(&echo);
  transport_harness client(pool_at(server.endpoint()));
  std::string body(5u << 20, 'x');
  for (std::size_t i = 0; i < body.size(); i += 997) body[i] = static_cast<char>('a' + i % 26);
  const auto result = client.one(1, body);
  EXPECT_EQ(result.error, transport_error::none) << result.detail;
  EXPECT_TRUE(result.response.body == body);
}

TEST(transport, reads_chunked_bodies_and_keeps_the_connection) {
  scripted_server server(
      always("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;ext=1\r\n "
             "world\r\n0\r\nX-Trailer: 1\r\n\r\n"));
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one(1).response.body, "hello world");
  EXPECT_EQ(client.one(2).response.body, "hello world");
  EXPECT_EQ(server.accepted(), 1);
}

TEST(transport, reads_bodies_that_end_with_the_connection) {
  scripted_server server(always("HTTP/1.1 200 OK\r\n\r\nall of it", true));
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one(1).response.body, "all of it");
  EXPECT_EQ(client.one(2).response.body, "all of it");
  EXPECT_EQ(server.accepted(), 2);
}

TEST(transport, skips_interim_responses) {
  scripted_server server(
      always("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX-Request-Id: "
             "early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
  transport_harness client(pool_at(server.endpoint()));
  const auto result = client.one();
  EXPECT_EQ(result.response.status, 200);
  EXPECT_EQ(result.response.body, "ok");
  EXPECT_TRUE(result.response.headers.empty());
}

TEST(transport, follows_no_redirect) {
  scripted_server server(
      always("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: "
             "0\r\n\r\n"));
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one().response.status, 307);
}

TEST(transport, no_content_has_no_body) {
  scripted_server server(always("HTTP/1.1 204 No Content\r\n\r\n"));
  transport_harness client(pool_at(server.endpoint()));
  EXPECT_EQ(client.one(1).response.status, 204);
  EXPECT_EQ(client.one(2).response.status, 204);
  EXPECT_EQ(server.accepted(), 1);
}

TEST(transport, honours_connection_close_and_old_http) {
  for (const char* head : {"HTTP/1.1 200 OK\r\nConnection: close\r\n", "HTTP/1.0 200 OK\r\n"}) {
    scripted_server server(always(std::string(head) + "Content-Length: 2\r\n\r\nok"));
    transport_harness client(pool_at(server.endpoint()));
    EXPECT_EQ(client.one(1).response.body, "ok");
    EXPECT_EQ(client.one(2).response.body, "ok");
    EXPECT_EQ(server.accepted(), 2) << head;
  }
}

TEST(transport, tries_every_address_of_a_name) {
  scripted_server server(&echo);  // IPv4 only; localhost may well be ::1 first
  transport_harness client(pool_at("http://localhost:" + server.port()));
  EXPECT_EQ(client.one(5).response.body, "5");
}

TEST(transport, thousands_of_calls_are_in_flight_at_once) {
  constexpr std::size_t calls = 2000;
  ASSERT_TRUE(raise_fd_limit(2 * calls + 200)) << "the limit on open files is too low";
  gathering_server server(calls);
  auto pool = pool_at(server.endpoint());
  pool.connections = calls;
  transport_harness client(pool);
  for (int round = 1; round <= 2; ++round) {
    client.send(0, calls);
    const auto results = client.wait(calls * static_cast<std::size_t>(round));
    for (const auto& r : results) {
      ASSERT_EQ(r.error, transport_error::none) << r.detail;
      ASSERT_EQ(r.response.body, "{\"n\":" + std::to_string(r.id.value()) + "}");
    }
  }
  EXPECT_EQ(server.peak(), calls);
  for (const auto& [id, times] : client.times_returned()) EXPECT_EQ(times, 2) << id;
}

TEST(transport, pools_spread_over_threads_answer_independently) {
  gathering_server a(1), b(1), c(1);
  transport_limits limits;
  limits.threads = 2;
  transport_harness client({pool_at(a.endpoint()), pool_at(b.endpoint(), 2), pool_at(c.endpoint())},
                           limits);
  for (std::uint32_t lane = 0; lane < 4; ++lane) client.send(lane * 100, 100, lane);
  for (const auto& r : client.wait(400)) EXPECT_EQ(r.error, transport_error::none) << r.detail;
  EXPECT_EQ(client.times_returned().size(), 400u);
}

TEST(transport, a_lane_never_runs_more_calls_than_its_concurrency) {
  constexpr std::uint64_t other_lane = 100;
  std::promise<void> release;
  const auto released = release.get_future().share();
  std::atomic<int> running = 0, peak = 0;
  scripted_server server([&](peer& p, int) {
    while (auto request = p.read_request()) {
      if (std::stoull(request->substr(request->find("\r\n\r\n") + 4)) < other_lane) {
        peak = std::max<int>(peak, ++running);
        released.wait();
        --running;
      }
      p.answer("{}");
    }
  });
  auto pool = pool_at(server.endpoint(), 2);
  pool.connections = 8;
  pool.lanes[0].quota.concurrency = 2;
  transport_harness client(pool);
  client.send(0, 20, 0);
  // Connections freed by the other lane have to leave the full one's calls where they are.
  for (std::uint64_t id = other_lane; id < other_lane + 30; id += 6) client.send(id, 6, 1);
  client.wait(30);
  release.set_value();
  for (const auto& r : client.wait(50)) EXPECT_EQ(r.error, transport_error::none) << r.detail;
  EXPECT_GE(peak, 1);
  EXPECT_LE(peak, 2);
}

TEST(transport, a_pool_never_opens_more_connections_than_allowed) {
  scripted_server server(&echo);
  auto pool = pool_at(server.endpoint(), 2);
  pool.connections = 3;
  transport_harness client(pool);
  client.send(0, 50, 0);
  client.send(50, 50, 1);
  for (const auto& r : client.wait(100)) EXPECT_EQ(r.error, transport_error::none) << r.detail;
  EXPECT_LE(server.accepted(), 3);
}

// Holds the first answer until `release`, then notes the order in which the others arrive.
struct held_first {
  std::promise<void> arrived, release;
  std::vector<std::string> order;

  scripted_server::script script() {
    return [this](peer& p, int) {
      bool first = true;
      while (auto request = p.read_request()) {
        if (first) {
          arrived.set_value();
          release.get_future().wait();
        } else {
          order.push_back(request->substr(request->find("\r\n\r\n") + 4));
        }
        first = false;
        p.answer("{}");
      }
    };
  }
};

TEST(transport, lanes_take_turns_and_each_keeps_its_order) {
  held_first held;
  scripted_server server(held.script());
  auto pool = pool_at(server.endpoint(), 2);
  pool.connections = 1;
  transport_harness client(pool);
  client.send(0);
  held.arrived.get_future().wait();
  client.send(10, 3, 0);
  client.send(20, 3, 1);
  held.release.set_value();
  client.wait(7);
  EXPECT_THAT(held.order, ElementsAre("20", "10", "21", "11", "22", "12"));
}

TEST(transport, cancel_queued_gives_back_only_what_was_not_begun) {
  held_first held;
  scripted_server server(held.script());
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  transport_harness client(pool);
  client.send(0);
  held.arrived.get_future().wait();
  client.send(1, 5);
  client->cancel_queued();
  auto results = client.wait(5);
  for (const auto& r : results) {
    EXPECT_NE(r.id, call_id(0));
    EXPECT_EQ(r.error, transport_error::cancelled);
    EXPECT_FALSE(r.written);
  }
  held.release.set_value();
  EXPECT_EQ(client.wait(6).back().error, transport_error::none);
  EXPECT_EQ(client.one(9).error, transport_error::none) << "later calls go on as before";
}

TEST(transport, cancel_all_ends_calls_in_flight_and_says_which_were_sent) {
  held_first held;
  scripted_server server(held.script());
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  transport_harness client(pool);
  client.send(0);
  held.arrived.get_future().wait();
  client.send(1, 5);
  client->cancel_all();
  for (const auto& r : client.wait(6)) {
    EXPECT_EQ(r.error, transport_error::cancelled);
    EXPECT_EQ(r.written, r.id == call_id(0));
    EXPECT_THAT(r.detail, HasSubstr("cancelled"));
  }
  held.release.set_value();
}

TEST(transport, a_call_cancelled_between_queue_and_socket_was_not_written) {
  scripted_server server(&echo);
  std::promise<call_result> second;
  std::unique_ptr<transport> client;
  const auto call = [](std::uint64_t id) {
    std::vector<outgoing_call> calls(1);
    calls[0].id = call_id(id);
    calls[0].request.target = "/";
    return calls;
  };
  auto made = make_http_transport({pool_at(server.endpoint())}, {}, &steady_now,
                                  [&](std::vector<call_result> batch) {
                                    if (batch[0].id == call_id(2))
                                      return second.set_value(std::move(batch[0]));
                                    // Both are carried out in one go: the idle connection has the
                                    // call, but not yet written it.
                                    client->submit(lane_id(0), call(2));
                                    client->cancel_all();
                                  });
  ASSERT_TRUE(made);
  client = std::move(*made);
  client->submit(lane_id(0), call(1));
  const auto result = second.get_future().get();
  EXPECT_EQ(result.error, transport_error::cancelled);
  EXPECT_FALSE(result.written);
}

TEST(transport, destruction_gives_every_call_back_once) {
  held_first held;
  scripted_server server(held.script());
  auto pool = pool_at(server.endpoint());
  pool.connections = 1;
  transport_harness client(pool);
  client.send(0);
  held.arrived.get_future().wait();
  client.send(1, 50);
  client.destroy();
  const auto times = client.times_returned();
  EXPECT_EQ(times.size(), 51u);
  for (const auto& [id, n] : times) EXPECT_EQ(n, 1) << id;
  for (const auto& r : client.wait(51)) EXPECT_EQ(r.error, transport_error::cancelled);
  held.release.set_value();
}

TEST(transport, an_idle_connection_is_closed_after_a_while) {
  std::promise<void> closed;
  scripted_server server([&](peer& p, int number) {
    echo(p, number);
    if (number == 0) closed.set_value();
  });
  transport_limits limits;
  limits.idle_timeout = std::chrono::milliseconds(20);
  transport_harness client(pool_at(server.endpoint()), limits);
  EXPECT_EQ(client.one(1).error, transport_error::none);
  EXPECT_EQ(closed.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(client.one(2).error, transport_error::none);
  EXPECT_EQ(server.accepted(), 2);
}

TEST(transport, connection_cap_follows_the_configuration) {
  transport_limits limits;
  auto pool = pool_at("http://localhost", 2);
  EXPECT_EQ(connection_cap(pool, limits), limits.connections_default);
  pool.lanes[0].quota.concurrency = 30;
  EXPECT_EQ(connection_cap(pool, limits), limits.connections_default);
  pool.lanes[1].quota.concurrency = 12;
  EXPECT_EQ(connection_cap(pool, limits), 42);
  pool.connections = 7;
  EXPECT_EQ(connection_cap(pool, limits), 7);
}

TEST(transport, a_bad_endpoint_is_refused_at_the_start) {
  const auto made = make_http_transport({pool_at("ftp://x")}, {}, &steady_now, [](auto) {});
  ASSERT_FALSE(made);
  EXPECT_THAT(made.error().message, HasSubstr("pool stub"));
}

TEST(fd_limit, is_raised_or_explained) {
  const auto enough = raise_fd_limit(16);
  ASSERT_TRUE(enough);
  EXPECT_GE(*enough, 16);
  const auto absurd = raise_fd_limit(std::int64_t{1} << 50);
  ASSERT_FALSE(absurd);
  EXPECT_THAT(absurd.error().message, HasSubstr("ulimit"));
}

}  // namespace
}  // namespace spillway::test
