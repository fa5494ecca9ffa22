#include "tests/sim/world.hpp"

namespace spillway::sim {

using namespace std::chrono_literals;

namespace {

class dice {
 public:
  explicit dice(std::uint64_t seed) : random_(seed) {}
  std::int64_t from(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool chance(double p) { return std::uniform_real_distribution<double>(0, 1)(random_) < p; }
  double share(double most) { return std::uniform_real_distribution<double>(0, most)(random_); }

 private:
  random_engine random_;
};

pool_config draw_pool(dice& d, int index, const std::vector<std::string>& models) {
  pool_config pool;
  pool.name = "pool-" + std::to_string(index);
  const provider_kind kinds[] = {provider_kind::openai, provider_kind::azure_openai,
                                 provider_kind::openai_compatible};
  pool.provider = kinds[d.from(0, 2)];
  pool.endpoint = "http://127.0.0.1:1/v1";
  for (const auto& model : models) {
    if (index > 0 && d.chance(0.3)) continue;  // pool 0 offers everything
    lane_config lane;
    lane.model = model;
    lane.as = model + "-" + std::to_string(index);
    lane.price = price_config{pico_usd_per_token(d.from(1, 20) * 100'000),
                              pico_usd_per_token(d.from(1, 20) * 400'000), std::nullopt};
    lane.max_output_tokens = tokens(64);
    lane.timeout = 20s;
    if (d.chance(0.5)) lane.quota.rpm = d.from(60, 1200);
    if (d.chance(0.3)) lane.quota.tpm = tokens(d.from(5'000, 200'000));
    if (d.chance(0.5)) lane.quota.concurrency = d.from(1, 12);
    if (d.chance(0.2)) lane.quota.headroom = 0.2;
    lane.residency = {index % 2 == 0 ? "eu" : "us"};
    pool.lanes.push_back(lane);
  }
  return pool;
}

std::string draw_line(dice& d, std::size_t number, const std::string& model, bool& valid) {
  valid = false;
  const auto id = "p" + std::to_string(number);
  if (d.chance(0.02)) return R"({"custom_id": "broken)";
  if (d.chance(0.02) && number > 0)
    return R"({"custom_id":"p0","method":"POST","url":"/v1/chat/completions","body":{"model":")" +
           model + R"("}})";
  if (d.chance(0.02)) return R"({"custom_id":")" + id + R"(","method":"GET"})";
  valid = true;
  const std::string filler(static_cast<std::size_t>(d.from(0, 400)), 'x');
  return R"({"custom_id":")" + id +
         R"(","method":"POST","url":"/v1/chat/completions","body":{"model":")" + model +
         R"(","max_tokens":)" + std::to_string(d.from(1, 60)) +
         R"(,"messages":[{"role":"user","content":"[[id:)" + id + "]] " + filler + R"("}]}})";
}

}  // namespace

schedule draw_schedule(std::uint64_t seed) {
  dice d(seed);
  schedule s;
  s.seed = seed;
  std::vector<std::string> models{"m0"};
  if (d.chance(0.4)) models.push_back("m1");
  const auto pools = d.from(1, 3);
  for (int i = 0; i < pools; ++i) {
    auto pool = draw_pool(d, i, models);
    if (pool.lanes.empty()) continue;
    s.slots.push_back(d.from(2, 16));
    s.config.pools.push_back(std::move(pool));
  }
  const auto count = static_cast<std::size_t>(d.from(5, 120));
  for (std::size_t n = 0; n < count; ++n) {
    bool valid = true;
    const auto& model = models[static_cast<std::size_t>(d.from(0, std::ssize(models) - 1))];
    // Line 0 stays good: later lines repeat its id.
    auto line = draw_line(d, n, model, valid);
    while (n == 0 && !valid) line = draw_line(d, n, model, valid);
    s.lines.push_back(std::move(line));
    if (valid) ++s.valid;
  }
  auto& job = s.config.job;
  job.order = static_cast<lane_order>(d.from(0, 2));
  job.max_attempts = d.from(1, 6);
  job.stall_timeout = 120s;
  if (d.chance(0.2)) job.in_doubt = in_doubt_policy::hold;
  if (d.chance(0.2)) job.max_error_rate = 0.5;
  if (d.chance(0.3)) job.budget = nano_usd(d.from(1'000'000, 20'000'000));
  if (d.chance(0.3)) {
    job.residency = std::vector<std::string>{"eu"};
    if (s.config.pools.size() > 1 && s.config.pools[1].name == "pool-1")
      s.forbidden_pool = "pool-1";
  }
  s.shard_lines = static_cast<std::size_t>(d.from(1, 20));
  s.window_bytes = static_cast<std::size_t>(d.chance(0.3) ? d.from(500, 4'000) : 1 << 20);
  s.kills = static_cast<int>(d.from(0, 5));
  s.stops = static_cast<int>(d.from(0, 2));
  if (d.chance(0.7))
    s.faults = {d.share(0.1), d.share(0.1), d.share(0.05),
                d.share(0.1), d.share(0.1), d.share(0.05)};
  if (d.chance(0.3)) {
    s.tokens.life = d.from(2'000, 20'000) * 1ms;
    s.tokens.early = d.chance(0.5) ? 500ms : 0ms;
    for (auto at = d.from(0, 10'000) * 1ms; at < 60s && d.chance(0.6); at += 20s)
      s.tokens.down.emplace_back(at, at + d.from(100, 15'000) * 1ms);
    for (auto at = d.from(500, 5'000) * 1ms; d.chance(0.7); at += d.from(500, 9'000) * 1ms)
      s.tokens.revoked.push_back(at);
  }
  if (d.chance(0.2)) {
    job.order = lane_order::weights;
    job.routes.weights = {{"pool-0", d.from(1, 5)}, {"pool-1", d.from(0, 3)}};
  }
  return s;
}

}  // namespace spillway::sim
