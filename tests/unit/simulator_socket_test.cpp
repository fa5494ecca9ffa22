// The simulator over real sockets: framing, faults on the wire, TLS, and its end.
#include "tests/support/raw_client.hpp"
#include "tests/unit/stub_server.hpp"
#include "tests/unit/transport_harness.hpp"
#include "workers/simulator/simulator.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <boost/json.hpp>

#include <chrono>
#include <filesystem>
#include <optional>

namespace spillway::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

simulated::pool_spec pool(const std::string& name, simulated::fault_kind kind, bool with_fault) {
  simulated::pool_spec p;
  p.name = name;
  if (with_fault) {
    p.faults.resize(1);
    p.faults[0].kind = kind;
  }
  return p;
}

simulator_config four_pools() {
  using simulated::fault_kind;
  simulator_config config;
  config.pools = {pool("fine", fault_kind::error, false), pool("hang", fault_kind::hang, true),
                  pool("reset", fault_kind::reset, true), pool("down", fault_kind::down, true)};
  config.pools[3].faults[0].close = true;
  return config;
}

simulator start(simulator_config config) {
  auto started = simulator::start(std::move(config));
  if (!started) throw std::runtime_error(started.error().message);
  return std::move(*started);
}

std::int64_t stat(const simulator& s, const char* pointer) {
  return boost::json::parse(s.stats_json()).at_pointer(pointer).to_number<std::int64_t>();
}

/// A client of the simulator.
class sim_client : public raw_client {
 public:
  explicit sim_client(const simulator& s) : raw_client(port_of(s.url())) {}

 private:
  static std::uint16_t port_of(const std::string& url) {
    return static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
  }
};

std::string chat(const std::string& pool, const std::string& text, const std::string& more = "") {
  const std::string body =
      R"({"model":"m","messages":[{"role":"user","content":")" + text + "\"}]}";
  return "POST /" + pool + "/v1/chat/completions HTTP/1.1\r\nhost: x\r\n" + more +
         "content-length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

TEST(simulator_socket, calls_share_a_connection_whole_in_pieces_and_pipelined) {
  const auto sim = start(four_pools());
  sim_client client(sim);
  client.send(chat("fine", "[[id:1]]"));
  EXPECT_THAT(client.response(), HasSubstr("[[re:1]]"));
  for (const char c : chat("fine", "[[id:2]]")) client.send(std::string(1, c));
  EXPECT_THAT(client.response(), HasSubstr("[[re:2]]"));
  client.send(chat("fine", "[[id:3]]") + chat("fine", "[[id:4]]"));
  EXPECT_THAT(client.response(), HasSubstr("[[re:3]]"));
  EXPECT_THAT(client.response(), HasSubstr("[[re:4]]"));
  client.send("GET /_sim/stats HTTP/1.1\r\nconnection: close\r\n\r\n");
  const auto stats = client.read_to_end();
  EXPECT_THAT(stats, HasSubstr("connection: close"));
  EXPECT_THAT(stats, HasSubstr(R"("answered":4)"));
}

TEST(simulator_socket, a_large_body_after_100_continue) {
  const auto sim = start(four_pools());
  sim_client client(sim);
  const std::string call = chat("fine", std::string(3'000'000, 'x'), "expect: 100-continue\r\n");
  const auto head = call.find("\r\n\r\n") + 4;
  client.send(call.substr(0, head));
  EXPECT_EQ(client.response(), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(call.substr(head));
  EXPECT_THAT(client.response(), HasSubstr(R"("prompt_tokens":750004)"));
  client.send(chat("fine", "small again"));
  EXPECT_THAT(client.response(), StartsWith("HTTP/1.1 200 OK"));
}

TEST(simulator_socket, what_is_not_http_is_refused_and_closed) {
  const auto sim = start(four_pools());
  const auto answer = [&](const std::string& request) {
    sim_client client(sim);
    client.send(request);
    return client.read_to_end();
  };
  EXPECT_THAT(answer("NONSENSE\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(answer("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"),
              StartsWith("HTTP/1.1 411"));
  EXPECT_THAT(answer("POST / HTTP/1.1\r\ncontent-length: 999999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST(simulator_socket, reset_sends_half_and_down_sends_nothing) {
  auto sim = start(four_pools());
  {
    sim_client client(sim);
    client.send(chat("reset", "x"));
    const std::string half = client.read_to_end();
    EXPECT_THAT(half, StartsWith("HTTP/1.1 200 OK"));
    const auto body = half.find("\r\n\r\n") + 4;
    const auto length = std::stoul(half.substr(half.find("content-length:") + 15));
    EXPECT_EQ(half.size() - body, length / 2);
  }
  sim_client client(sim);
  client.send(chat("down", "x"));
  EXPECT_EQ(client.read_to_end(), "");
  sim.stop();
  EXPECT_EQ(stat(sim, "/dropped"), 2);
}

TEST(simulator_socket, a_stop_ends_calls_that_hang_or_wait) {
  auto config = four_pools();
  config.pools[0].latency.median = 1h;
  config.threads = 2;
  auto sim = start(config);
  sim_client hanging(sim), waiting(sim), idle(sim), asking(sim);
  hanging.send(chat("hang", "x"));
  waiting.send(chat("fine", "x"));
  while (stat(sim, "/in_flight") < 2) std::this_thread::yield();
  sim.stop();
  EXPECT_EQ(hanging.read_to_end(), "");
  EXPECT_EQ(waiting.read_to_end(), "");
  EXPECT_EQ(idle.read_to_end(), "");
  EXPECT_EQ(stat(sim, "/dropped"), 2);
  EXPECT_EQ(stat(sim, "/in_flight"), 0);
  sim.stop();  // again: nothing to do
}

TEST(simulator_socket, held_calls_are_answered_once_the_faults_are_replaced) {
  auto config = four_pools();
  config.pools[1].faults[0].kind = simulated::fault_kind::hold;
  const auto sim = start(config);
  sim_client first(sim), other(sim);
  std::optional<sim_client> gone(sim);
  first.send(chat("hang", "[[id:1]]"));
  gone->send(chat("hang", "[[id:2]]"));
  while (stat(sim, "/in_flight") < 2) std::this_thread::yield();
  gone.reset();
  while (stat(sim, "/dropped") < 1) std::this_thread::yield();
  other.send(chat("fine", "[[id:3]]"));
  EXPECT_THAT(other.response(), HasSubstr("[[re:3]]"));
  EXPECT_EQ(stat(sim, "/pools/hang/in_flight"), 1);
  const std::string change = R"({"pool":"hang","faults":[]})";
  other.send("POST /_sim/control HTTP/1.1\r\ncontent-length: " + std::to_string(change.size()) +
             "\r\n\r\n" + change);
  EXPECT_THAT(other.response(), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(first.response(), HasSubstr("[[re:1]]"));
  first.send(chat("hang", "[[id:4]]"));
  EXPECT_THAT(first.response(), HasSubstr("[[re:4]]"));
}

TEST(simulator_socket, a_client_that_leaves_frees_its_place) {
  const auto sim = start(four_pools());
  {
    sim_client client(sim);
    client.send(chat("hang", "x"));
    while (stat(sim, "/in_flight") < 1) std::this_thread::yield();
  }
  while (stat(sim, "/in_flight") > 0) std::this_thread::yield();
  EXPECT_EQ(stat(sim, "/pools/hang/dropped"), 1);
}

TEST(simulator_socket, many_connections_on_several_threads_lose_nothing) {
  auto config = four_pools();
  config.threads = 3;
  const auto sim = start(config);
  std::vector<std::thread> clients;
  for (int c = 0; c < 8; ++c)
    clients.emplace_back([&sim, c] {
      sim_client client(sim);
      for (int i = 0; i < 50; ++i) {
        const std::string id = std::to_string(c) + "-" + std::to_string(i);
        client.send(chat("fine", "[[id:" + id + "]]"));
        EXPECT_THAT(client.response(), HasSubstr("[[re:" + id + "]]"));
      }
    });
  for (auto& t : clients) t.join();
  // An answer counts once its writer has noticed that it left, which the client may see before.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (stat(sim, "/answered") < 400 && std::chrono::steady_clock::now() < end)
    std::this_thread::yield();
  EXPECT_EQ(stat(sim, "/answered"), 400);
  EXPECT_EQ(stat(sim, "/distinct_ids"), 400);
  EXPECT_EQ(stat(sim, "/repeated_ids"), 0);
}

TEST(simulator_socket, the_transport_reaches_it_over_tls) {
  std::string dir = (std::filesystem::temp_directory_path() / "spillway-sim-XXXXXX").string();
  ASSERT_TRUE(::mkdtemp(dir.data()));
  const auto id = server_identity::make("IP:127.0.0.1");
  id.write_authority(dir + "/ca.pem");
  const auto write = [&](const std::string& name, auto put) {
    std::FILE* f = std::fopen((dir + name).c_str(), "w");
    ASSERT_TRUE(f);
    put(f);
    std::fclose(f);
  };
  write("/cert.pem", [&](std::FILE* f) { PEM_write_X509(f, id.certificate.get()); });
  write("/key.pem", [&](std::FILE* f) {
    PEM_write_PrivateKey(f, id.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
  auto config = four_pools();
  config.tls = simulated::tls_files{dir + "/cert.pem", dir + "/key.pem"};
  {
    const auto sim = start(config);
    EXPECT_THAT(sim.url(), StartsWith("https://127.0.0.1:"));
    pool_config target = pool_at(sim.url());
    target.ca_file = dir + "/ca.pem";
    transport_harness client(target);
    std::vector<outgoing_call> calls(3);
    for (auto& call : calls) {
      call.request.target = "/fine/v1/chat/completions";
      call.request.body = R"({"model":"m","messages":[{"content":"[[id:t]]"}]})";
    }
    client->submit(lane_id(0), std::move(calls));
    for (const auto& r : client.wait(3)) {
      ASSERT_EQ(r.error, transport_error::none) << r.detail;
      EXPECT_EQ(r.response.status, 200);
      EXPECT_THAT(r.response.body, HasSubstr("[[re:t]]"));
    }
  }
  config.tls->key_file = dir + "/absent.pem";
  const auto refused = simulator::start(config);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("absent.pem"));
  std::filesystem::remove_all(dir);
}

TEST(simulator_socket, a_taken_port_is_told) {
  const auto first = start(four_pools());
  auto config = four_pools();
  const std::string url = first.url();
  config.port = static_cast<std::uint16_t>(std::stoul(url.substr(url.rfind(':') + 1)));
  const auto second = simulator::start(config);
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(config.port)));
  EXPECT_EQ(first.endpoint("hang"), url + "/hang/v1");
  EXPECT_EQ(first.endpoints().size(), 4u);
}

}  // namespace
}  // namespace spillway::test
