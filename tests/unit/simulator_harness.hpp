// Simulated providers in fake time, called without a socket.
#pragma once

#include "workers/simulator/world.hpp"

#include <gtest/gtest.h>
#include <boost/json.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace spillway::simulated {

namespace json = boost::json;

const time_point start{std::chrono::seconds(1'800'000'000)};

inline pool_spec pool(const std::string& name, provider_kind provider = provider_kind::openai) {
  pool_spec p;
  p.name = name;
  p.provider = provider;
  return p;
}

inline fault_config fault(fault_kind kind) {
  fault_config f;
  f.kind = kind;
  return f;
}

struct reply {
  verdict what;
  std::string head;
  std::string text;
  json::value body;  ///< null when the text is no JSON

  [[nodiscard]] std::string header(const std::string& name) const {
    const auto at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const auto from = at + name.size() + 4;
    return head.substr(from, head.find("\r\n", from) - from);
  }
  [[nodiscard]] const json::value& at(const char* pointer) const {
    json::error_code ec;
    static const json::value none;
    const auto* found = body.find_pointer(pointer, ec);
    return found ? *found : none;
  }
};

class simulator_world : public testing::Test {
 protected:
  void open(std::vector<pool_spec> pools) {
    simulator_config config;
    config.pools = std::move(pools);
    world_.emplace(config, start);
  }

  reply send(const std::string& request) {
    const std::string padded = request + std::string(call_reader::padding, ' ');
    const parsed_head p = parse_head(padded);
    EXPECT_EQ(p.state, head_state::complete);
    std::string out;
    reply r;
    r.what = world_->arrive(now_, p.head,
                            std::string_view(padded).substr(p.size, request.size() - p.size),
                            reader_, out);
    const auto end = std::min(out.find("\r\n\r\n"), out.size());
    r.head = out.substr(0, end);
    if (end < out.size()) r.text = out.substr(end + 4);
    json::error_code ec;
    r.body = json::parse(r.text, ec);
    if (!out.empty()) {
      EXPECT_EQ(std::stoul(r.header("content-length")), r.text.size());
    }
    return r;
  }
  reply get(const std::string& path) { return send("GET " + path + " HTTP/1.1\r\n\r\n"); }
  reply post(const std::string& path, const std::string& body, const std::string& headers = "") {
    return send("POST " + path + " HTTP/1.1\r\n" + headers + "\r\n" + body);
  }
  /// A chat call that is carried to its end.
  reply chat(const std::string& base, const std::string& text, const std::string& more = "") {
    reply r =
        post(base + "/chat/completions",
             R"({"model":"m","messages":[{"role":"user","content":")" + text + "\"}]" + more + "}");
    world_->finish(r.what, r.what.what == action::reply);
    return r;
  }
  std::int64_t stat(const char* pointer) {
    return json::parse(world_->stats()).at_pointer(pointer).to_number<std::int64_t>();
  }

  time_point now_ = start;
  call_reader reader_;
  std::optional<world> world_;
};

}  // namespace spillway::simulated
