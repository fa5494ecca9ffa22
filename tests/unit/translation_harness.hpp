// Shared by the tests of translating adapters: prompts in, JSON trees out.
#pragma once

#include "workers/provider.hpp"

#include <boost/json.hpp>

#include <string>
#include <string_view>

namespace spillway {

inline pool_config cloud_pool(provider_kind kind) {
  pool_config pool;
  pool.provider = kind;
  pool.endpoint = "https://cloud.example";
  pool.project = "p-1";
  pool.location = "us-central1";
  return pool;
}

inline lane_config cloud_lane(std::string as, lane_surface surface) {
  lane_config lane;
  lane.model = "m";
  lane.as = std::move(as);
  lane.surface = surface;
  return lane;
}

inline prompt_view view_of(std::string_view body, std::string_view url = "/v1/chat/completions") {
  constexpr std::string_view token = R"("m")";
  return {url, body, body.find(token, body.find(R"("model":)")), token.size()};
}

inline boost::json::value json(std::string_view text) {
  boost::system::error_code error;
  auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), error);
  return error ? boost::json::value("not JSON: " + std::string(text)) : value;
}

/// The request a lane makes of a chat body; `rest` follows the model, as in R"("messages":[])".
inline boost::json::value translated(const provider& adapter, const lane_config& lane,
                                     std::string_view rest) {
  const std::string body = R"({"model":"m",)" + std::string(rest) + "}";
  return json(adapter.encode(view_of(body), lane).body);
}

inline call_result reply(int status, std::string body) {
  call_result call;
  call.written = true;
  call.response.status = status;
  call.response.body = std::move(body);
  call.done_at = time_point(std::chrono::seconds(1'800'000'000));
  return call;
}

}  // namespace spillway
