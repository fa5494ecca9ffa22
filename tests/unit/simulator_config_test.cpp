// sim.yaml: what is read from it, and what is refused with line and key.
#include "workers/simulator/sim_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace spillway::simulated {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

std::string problems_of(const std::string& text) {
  const auto config = parse_simulator_config(text, "sim.yaml");
  return config ? "" : config.error().message;
}

TEST(simulator_config, every_key_is_read) {
  const auto config = parse_simulator_config(R"(
listen: "[::1]:8080"
seed: 7
threads: 2
tls: { cert_file: a.pem, key_file: b.pem }
pools:
  - name: az.east-1
    provider: azure-openai
    api_key: k
    models: [m, n]
    latency: { median: 200ms, sigma: 0.5 }
    output_tokens: 30
    cached_share: 0.25
    quota: { rpm: 600, tpm: 100000, concurrency: 50, burst: 1s }
    price: { input: 0.75, output: 4.5, cached_input: 0.075 }
    faults:
      - { kind: error, share: 0.05, status: 429, code: c, message: m, retry_after: 3s, by: prompt }
      - { kind: hang, share: 0.01, from: 1s, to: 2s }
      - { kind: reset, share: 0.02 }
      - { kind: quota, from: 5s, to: 20s, factor: 0.5 }
      - { kind: down, to: 20s, close: true }
      - { kind: missing-model, model: m, until: 10s }
      - { kind: hold, share: 0.03, by: prompt }
  - name: plain
    provider: openai
    latency: 20ms
)",
                                             "sim.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->host, "::1");
  EXPECT_EQ(config->port, 8080);
  EXPECT_EQ(config->seed, 7u);
  EXPECT_EQ(config->threads, 2u);
  EXPECT_EQ(config->tls->key_file, "b.pem");
  ASSERT_EQ(config->pools.size(), 2u);
  const pool_spec& p = config->pools[0];
  EXPECT_EQ(p.base_path(), "/az.east-1/openai/v1");
  EXPECT_EQ(p.models, (std::vector<std::string>{"m", "n"}));
  EXPECT_EQ(p.latency.median, 200ms);
  EXPECT_EQ(p.latency.sigma, 0.5);
  EXPECT_EQ(p.quota.tpm, 100000);
  EXPECT_EQ(p.quota.burst, 1s);
  EXPECT_EQ(p.price.input, pico_usd_per_token(750'000));
  EXPECT_EQ(p.price.cached_input, pico_usd_per_token(75'000));
  ASSERT_EQ(p.faults.size(), 7u);
  EXPECT_EQ(p.faults[0].retry_after, 3s);
  EXPECT_TRUE(p.faults[0].by_prompt);
  EXPECT_EQ(p.faults[1].to, 2s);
  EXPECT_EQ(p.faults[3].factor, 0.5);
  EXPECT_TRUE(p.faults[4].close);
  EXPECT_EQ(p.faults[5].to, 10s);
  EXPECT_EQ(p.faults[6].kind, fault_kind::hold);
  EXPECT_TRUE(p.faults[6].by_prompt);
  EXPECT_EQ(config->pools[1].base_path(), "/plain/v1");
  EXPECT_EQ(config->pools[1].latency.median, 20ms);
  EXPECT_FALSE(config->pools[1].quota.rpm);
}

TEST(simulator_config, all_mistakes_are_told_with_line_and_key) {
  const std::string told = problems_of(R"(listen: 0.0.0.0:80
pools:
  - name: a/b
    provider: openai
    latncy: 2ms
    faults:
      - { kind: down, status: 500 }
      - { kind: quota, from: 9s, to: 3s, factor: 1 }
      - { kind: error, share: 1.5 }
  - name: x
    provider: openai
  - name: x
    provider: nobody
)");
  for (const char* expected :
       {"sim.yaml:1: listen", "sim.yaml:3: pools[0].name", "sim.yaml:5: pools[0].latncy",
        "sim.yaml:7: pools[0].faults[0].status", "sim.yaml:8: pools[0].faults[1].to",
        "sim.yaml:9: pools[0].faults[2].share", "sim.yaml:12: pools[2].name",
        "sim.yaml:13: pools[2].provider"})
    EXPECT_THAT(told, HasSubstr(expected));
}

TEST(simulator_config, clouds_and_who_gives_out_credentials) {
  const auto config = parse_simulator_config(R"(
identity:
  token_lifetime: 20s
  clock_ahead: 6m
  google: { project: p, key_file: sa.json, faults: [{ kind: down, to: 5s }] }
  entra: { tenant: t, client_id: c, client_secret: s }
  aws: { access_key_id: A, secret_access_key: S, container_token: x }
pools:
  - { name: b, provider: bedrock, region: eu-west-1, identity: true, max_output_tokens: 9 }
  - { name: m, provider: bedrock, mantle: true, api_keys: [{ key: k, from: 1s, until: 2s }] }
  - { name: v, provider: vertex, project: p, location: l, identity: true, reasoning_tokens: 3 }
  - { name: z, provider: azure-openai, api_versions: [2024-10-21], identity: true }
  - { name: a, provider: anthropic, quota: { input_tpm: 5, output_tpm: 6, tpd: 7 } }
)",
                                             "sim.yaml");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->identity.token_lifetime, 20s);
  EXPECT_EQ(config->identity.clock_ahead, 6min);
  EXPECT_EQ(config->identity.google->client_email, "spillway@p.iam.gserviceaccount.com");
  EXPECT_EQ(config->identity.google->faults.at(0).to, 5s);
  EXPECT_EQ(config->identity.aws->container_token, "x");
  const auto& pools = config->pools;
  EXPECT_EQ(pools.at(0).base_path(), "/b");
  EXPECT_EQ(pools.at(0).signing_names, std::vector<std::string>{"bedrock"});
  EXPECT_EQ(pools.at(1).signing_names.front(), "bedrock-mantle");
  EXPECT_EQ(pools.at(1).api_keys.at(0).until, 2s);
  EXPECT_EQ(pools.at(2).location, "l");
  EXPECT_EQ(pools.at(3).api_versions.size(), 1u);
  EXPECT_EQ(pools.at(4).quota.output_tpm, 6);
}

TEST(simulator_config, identity_needs_its_section) {
  const std::string told = problems_of(R"(identity: { google: { key_file: a, public_key_file: b } }
pools:
  - { name: b, provider: bedrock, identity: true }
  - { name: o, provider: openai, identity: true }
  - { name: v, provider: vertex, identity: true, mantle: true }
)");
  for (const char* expected : {"sim.yaml:1: identity.google.public_key_file", "identity.aws",
                               "pools[1].identity", "pools[2].mantle"})
    EXPECT_THAT(told, HasSubstr(expected));
}

TEST(simulator_config, only_loopback_may_be_listened_on) {
  const auto listening = [](const std::string& where) {
    return problems_of("listen: \"" + where + "\"\npools: [{ name: a, provider: openai }]\n");
  };
  for (const char* fine : {"127.0.0.1:0", "127.1.2.3:65535", "localhost:80", "[::1]:1"})
    EXPECT_EQ(listening(fine), "") << fine;
  for (const char* bad : {"0.0.0.0:0", "10.0.0.1:80", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:65536",
                          "127.evil.com:80", "[::]:80", ":80"})
    EXPECT_THAT(listening(bad), HasSubstr("loopback")) << bad;
}

TEST(simulator_config, a_missing_file_is_named) {
  const auto config = load_simulator_config("/nowhere/sim.yaml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().kind, failure_kind::usage);
  EXPECT_THAT(config.error().message, HasSubstr("/nowhere/sim.yaml"));
}

}  // namespace
}  // namespace spillway::simulated
