#include "orchestrator/cli/config.hpp"
#include "orchestrator/cli/paths.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace spillway {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr const char* full = R"(pools:
  - name: azure-eastus
    provider: azure-openai
    endpoint: https://acme.openai.azure.com/openai/v1/
    auth: { api_key: env:AZURE_OPENAI_KEY }
    tls: { ca_file: /etc/ssl/own.pem }
    region: eastus
    residency: [us]
    connections: 200
    lanes:
      - model: gpt-5.4-mini
        as: mini-prod
        tier: standard
        quota: { rpm: 600, tpm: 10000, concurrency: 200, rpd: 5000, usd_per_day: 50, headroom: 0.2 }
        price: { input: 0.75, output: 4.5, cached_input: 0.075 }
        max_output_tokens: 16384
        timeout: 600s
      - model: gpt-5.4-mini
        as: mini-prod
        tier: provisioned
        price: { input: 0, output: 0 }
        residency: [us, eu]
  - name: openai
    provider: openai
    auth: { api_key: file:/run/key }
    lanes:
      - model: text-embedding-3-small
        price: { input: 0.02 }
job:
  order: latency
  residency: [us, eu]
  budget_usd: 200
  in_doubt: hold
  max_attempts: 3
  max_error_rate: 0.2
  stall_timeout: 5m
)";

TEST(config, reads_the_whole_form) {
  const auto config = parse_run_config(full, "p.yaml");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  ASSERT_EQ(config->pools.size(), 2u);
  const auto& azure = config->pools[0];
  EXPECT_EQ(azure.name, "azure-eastus");
  EXPECT_EQ(azure.provider, provider_kind::azure_openai);
  EXPECT_EQ(azure.endpoint, "https://acme.openai.azure.com/openai/v1");
  const auto* key = std::get_if<api_key_auth>(&azure.auth);
  ASSERT_NE(key, nullptr);
  EXPECT_EQ(key->key.from, secret_ref::source::env);
  EXPECT_EQ(key->key.name, "AZURE_OPENAI_KEY");
  EXPECT_EQ(azure.ca_file, "/etc/ssl/own.pem");
  EXPECT_EQ(azure.region, "eastus");
  EXPECT_EQ(azure.connections, 200);
  const auto& lane = azure.lanes.at(0);
  EXPECT_EQ(lane.name(), "mini-prod");
  EXPECT_EQ(lane.quota.rpm, 600);
  EXPECT_EQ(lane.quota.tpm, tokens(10'000));
  EXPECT_EQ(lane.quota.concurrency, 200);
  EXPECT_EQ(lane.quota.rpd, 5'000);
  EXPECT_EQ(lane.quota.usd_per_day, from_usd(50));
  EXPECT_EQ(lane.quota.headroom, 0.2);
  EXPECT_EQ(lane.price->input, pico_usd_per_token(750'000));
  EXPECT_EQ(lane.price->output, pico_usd_per_token(4'500'000));
  EXPECT_EQ(lane.price->cached_input, pico_usd_per_token(75'000));
  EXPECT_EQ(lane.max_output_tokens, tokens(16'384));
  EXPECT_EQ(lane.timeout, duration(600s));
  EXPECT_THAT(lane.residency, ElementsAre("us"));
  EXPECT_EQ(azure.lanes.at(1).name(), "mini-prod:provisioned");
  EXPECT_THAT(azure.lanes.at(1).residency, ElementsAre("us", "eu"));
  const auto& job = config->job;
  EXPECT_EQ(job.order, lane_order::latency);
  EXPECT_THAT(job.residency.value(), ElementsAre("us", "eu"));
  EXPECT_EQ(job.budget, from_usd(200));
  EXPECT_EQ(job.in_doubt, in_doubt_policy::hold);
  EXPECT_EQ(job.max_attempts, 3);
  EXPECT_EQ(job.max_error_rate, 0.2);
  EXPECT_EQ(job.stall_timeout, duration(5min));
}

TEST(config, defaults) {
  const auto config = parse_run_config(
      "pools: [{ name: o, provider: openai, auth: { api_key: env:K }, lanes: [{ model: m }] }]",
      "p");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  const auto& pool = config->pools[0];
  EXPECT_EQ(pool.endpoint, "https://api.openai.com/v1");
  const auto& lane = pool.lanes[0];
  EXPECT_EQ(lane.as, "m");
  EXPECT_EQ(lane.tier, lane_tier::standard);
  EXPECT_EQ(lane.quota.headroom, 0);
  EXPECT_FALSE(lane.quota.rpm);
  EXPECT_EQ(lane.timeout, duration(10min));
  EXPECT_TRUE(lane.residency.empty());
  EXPECT_EQ(config->job.order, lane_order::cost);
  EXPECT_EQ(config->job.max_attempts, 6);
  EXPECT_FALSE(config->job.residency);
  EXPECT_FALSE(config->job.budget);
  EXPECT_EQ(config->job.stall_timeout, duration(10min));
}

/// The full configuration with one text replaced, and the one problem that gives.
struct broken {
  const char* from;
  const char* to;
  const char* problem;  ///< begins with the line and key
};

constexpr broken broken_configurations[] = {
    // keys and structure
    {"  - name: azure-eastus", "  - nmae: azure-eastus",
     "p.yaml:2: pools[0].nmae: unknown key; did you mean name?"},
    {"  - name: azure-eastus", "  - name: azure eastus",
     "p.yaml:2: pools[0].name: expected at most"},
    {"name: openai\n", "name: azure-eastus\n",
     "p.yaml:23: pools[1].name: expected a name of its own, found azure-eastus again"},
    {"    region: eastus", "    region: eastus\n    region: westus",
     "p.yaml:8: pools[0].region: duplicate key; first given on line 7"},
    {"job:\n", "jobs:\n", "p.yaml:29: jobs: unknown key; did you mean job?"},
    {"    lanes:\n      - model: text-embedding-3-small\n        price: { input: 0.02 }\n",
     "    lanes: []\n", "p.yaml:26: pools[1].lanes: expected at least one entry"},
    {"    lanes:\n      - model: text-embedding-3-small\n        price: { input: 0.02 }\n", "",
     "p.yaml:23: pools[1].lanes: missing; expected a list of mappings"},
    // not supported yet
    {"provider: azure-openai", "provider: azure",
     "p.yaml:3: pools[0].provider: expected one of openai, azure-openai, bedrock, vertex, "
     "anthropic, openai-compatible, found azure"},
    {"tier: provisioned", "tier: batch", "tier: batch is not supported yet"},
    {"rpd: 5000", "tpd: 5000", "p.yaml:14: pools[0].lanes[0].quota.tpd: not supported yet"},
    {"  order: latency", "  deadline: 24h", "p.yaml:30: job.deadline: not supported yet"},
    {"  order: latency", "  weight: 1", "p.yaml:30: job.weight: not supported yet"},
    {"    region: eastus", "    region: eastus\n    location: us",
     "p.yaml:8: pools[0].location: it belongs to provider vertex"},
    {"    region: eastus", "    region: eastus\n    mantle: true",
     "p.yaml:8: pools[0].mantle: it belongs to provider bedrock"},
    {"    region: eastus", "    region: eastus\n    organization: o",
     "p.yaml:8: pools[0].organization: it belongs to provider openai"},
    {"        tier: provisioned", "        tier: provisioned\n        surface: converse",
     "p.yaml:21: pools[0].lanes[1].surface: expected one of openai, dated, responses for provider "
     "azure-openai, found converse"},
    {"        tier: provisioned", "        tier: provisioned\n        surface: dated",
     "p.yaml:21: pools[0].lanes[1].surface: dated needs the pool's api_version"},
    {"job:\n", "kafka: { brokers: [a] }\njob:\n", "p.yaml:29: kafka.brokers: expected HOST:PORT"},
    {"job:\n", "member: { id: a b }\njob:\n", "p.yaml:29: member.id: expected at most 64"},
    // secrets and endpoints
    {"env:AZURE_OPENAI_KEY", "sk-123456",
     "p.yaml:5: pools[0].auth.api_key: expected env:NAME or file:"},
    {"env:AZURE_OPENAI_KEY", "env:A-B", "auth.api_key: expected env:NAME or file:PATH"},
    {"env:AZURE_OPENAI_KEY", "\"file:\"", "auth.api_key: expected env:NAME or file:PATH"},
    {"auth: { api_key: env:AZURE_OPENAI_KEY }", "auth: {}",
     "p.yaml:5: pools[0].auth: expected api_key, bearer or entra, as in"},
    {"    auth: { api_key: file:/run/key }\n", "",
     "p.yaml:23: pools[1].auth: missing; provider openai needs auth"},
    {"    auth: { api_key: env:AZURE_OPENAI_KEY }\n", "",
     "pools[0].auth: missing; provider azure-op"},
    {"    endpoint: https://acme.openai.azure.com/openai/v1/\n", "",
     "p.yaml:2: pools[0].endpoint: missing"},
    {"https://acme", "http://acme", "p.yaml:4: pools[0].endpoint: expected https://"},
    {"https://acme", "ftp://acme", "p.yaml:4: pools[0].endpoint: "},
    // values
    {"headroom: 0.2", "headroom: 1",
     "lanes[0].quota.headroom: expected a number of at least 0 and below 1"},
    {"headroom: 0.2", "headroom: -0.1", "lanes[0].quota.headroom: expected a number of at least 0"},
    {"rpm: 600", "rpm: 0", "p.yaml:14: pools[0].lanes[0].quota.rpm: expected an integer from 1"},
    {"rpm: 600", "rpm: many", "quota.rpm: expected an integer from 1 to 1000000000000, found many"},
    {"input: 0.75", "input: -1",
     "p.yaml:15: pools[0].lanes[0].price.input: expected a number from 0"},
    {"input: 0.75, ", "", "p.yaml:15: pools[0].lanes[0].price.input: missing; expected a number"},
    {"connections: 200", "connections: 0",
     "pools[0].connections: expected an integer from 1 to 65535"},
    {"timeout: 600s", "timeout: 600", "p.yaml:17: pools[0].lanes[0].timeout: expected a duration"},
    {"        tier: provisioned\n", "",
     "p.yaml:19: pools[0].lanes[1].as: expected a lane that differs from the pool's others"},
    {"    residency: [us]", "    residency: us",
     "p.yaml:8: pools[0].residency: expected a list of texts"},
    {"    residency: [us]", "    residency: [US]",
     "p.yaml:8: pools[0].residency: expected lower-case"},
    {"  residency: [us, eu]\n  budget", "  residency: []\n  budget",
     "p.yaml:31: job.residency: expected at least one name"},
    {"order: latency", "order: speed",
     "p.yaml:30: job.order: expected one of cost, latency, as-listed"},
    {"in_doubt: hold", "in_doubt: query", "p.yaml:33: job.in_doubt: expected one of resend, hold"},
    {"max_attempts: 3", "max_attempts: 0",
     "p.yaml:34: job.max_attempts: expected an integer from 1"},
    {"max_error_rate: 0.2", "max_error_rate: 20",
     "p.yaml:35: job.max_error_rate: expected a number from 0"},
    {"stall_timeout: 5m", "stall_timeout: 0s", "p.yaml:36: job.stall_timeout: expected a duration"},
    // money
    {"        price: { input: 0, output: 0 }\n", "",
     "p.yaml:18: pools[0].lanes[1].price: missing; with a budget"},
    {"        max_output_tokens: 16384\n", "",
     "p.yaml:11: pools[0].lanes[0].max_output_tokens: missing; with a budget"},
};

TEST(config, each_mistake_gives_one_problem_with_line_and_key) {
  for (const auto& c : broken_configurations) {
    std::string text = full;
    const auto at = text.find(c.from);
    ASSERT_NE(at, text.npos) << c.from;
    text.replace(at, std::strlen(c.from), c.to);
    const auto config = parse_run_config(text, "p.yaml");
    ASSERT_FALSE(config.has_value()) << "accepted: " << c.to;
    const failure found = config.error();
    EXPECT_EQ(found.kind, failure_kind::usage);
    EXPECT_THAT(found.message, HasSubstr(c.problem));
    const bool renamed = std::string_view(c.to).find("nmae") != std::string_view::npos;
    EXPECT_EQ(std::count(found.message.begin(), found.message.end(), '\n'), renamed ? 1 : 0)
        << found.message;
  }
}

TEST(config, all_mistakes_are_told_at_once) {
  const auto config =
      parse_run_config("pools:\n  - provider: openai\n    lanes: [{ as: x }]\njob: 3\n", "p");
  ASSERT_FALSE(config.has_value());
  EXPECT_EQ(config.error().message,
            "p:2: pools[0].name: missing; expected a text\n"
            "p:2: pools[0].auth: missing; provider openai needs auth: { api_key: env:NAME }\n"
            "p:3: pools[0].lanes[0].model: missing; expected a text\n"
            "p:4: job: expected a mapping of keys, found a single value");
}

TEST(config, secrets_in_the_wrong_place_are_not_shown) {
  for (const char* auth : {"sk-123456", "{ api_key: sk-123456 }", "{ api_key: [sk-123456] }",
                           "[sk-123456]", "{ bearer: sk-123456 }"}) {
    const std::string text = "pools: [{ name: o, provider: openai, auth: " + std::string(auth) +
                             ", lanes: [{ model: m }] }]";
    const auto config = parse_run_config(text, "p");
    ASSERT_FALSE(config.has_value());
    EXPECT_THAT(config.error().message, Not(HasSubstr("sk-123456")));
  }
}

std::string pool_at(const std::string& endpoint, const std::string& rest) {
  return "pools: [{ name: o, provider: openai-compatible, endpoint: \"" + endpoint +
         "\", lanes: [{ model: m }]" + rest + " }]";
}

TEST(config, keys_travel_over_plain_http_only_within_the_machine) {
  const std::string key = ", auth: { api_key: env:K }";
  EXPECT_TRUE(parse_run_config(pool_at("http://127.0.0.1:8000/v1", key), "p").has_value());
  EXPECT_TRUE(parse_run_config(pool_at("http://localhost:8000/v1", key), "p").has_value());
  EXPECT_TRUE(parse_run_config(pool_at("http://[::1]:8000/v1", key), "p").has_value());
  EXPECT_TRUE(parse_run_config(pool_at("https://gpu.lan/v1", key), "p").has_value());
  EXPECT_TRUE(parse_run_config(pool_at("http://gpu.lan/v1", ""), "p").has_value());
  EXPECT_FALSE(parse_run_config(pool_at("http://gpu.lan/v1", key), "p").has_value());
  EXPECT_FALSE(parse_run_config(pool_at("http://127.0.0.1.evil.com/v1", key), "p").has_value());
  EXPECT_FALSE(parse_run_config(pool_at("http://localhost.evil.com/v1", key), "p").has_value());
}

TEST(config, a_budget_by_flag_needs_prices_too) {
  const auto text = pool_at("http://127.0.0.1:1/v1", "");
  const auto config = parse_run_config(text, "p");
  ASSERT_TRUE(config.has_value());
  const auto priced = parse_run_config(text, "p", {.budget_by_flag = true});
  ASSERT_FALSE(priced.has_value());
  EXPECT_THAT(priced.error().message,
              HasSubstr("p:1: pools[0].lanes[0].price: missing; with a budget"));
  const auto checked = validate_for_budget(*config);
  ASSERT_FALSE(checked.has_value());
  EXPECT_THAT(checked.error().message, HasSubstr("lane o/m: price: missing"));
}

TEST(config, a_free_lane_needs_no_bound_on_its_output) {
  lane_config lane;
  lane.price = price_config{};
  EXPECT_TRUE(budget_shortfall(lane).key.empty());
  lane.price->output = pico_usd_per_token(1);
  EXPECT_EQ(budget_shortfall(lane).key, "max_output_tokens");
  lane.max_output_tokens = tokens(10);
  EXPECT_TRUE(budget_shortfall(lane).key.empty());
}

TEST(config, a_daily_spend_limit_needs_a_price) {
  const auto config = parse_run_config(
      "pools: [{ name: o, provider: openai-compatible, endpoint: \"http://127.0.0.1\", "
      "lanes: [{ model: m, quota: { usd_per_day: 5 } }] }]",
      "p");
  ASSERT_FALSE(config.has_value());
  EXPECT_THAT(config.error().message, HasSubstr("lanes[0].price: missing; quota.usd_per_day"));
  const auto unbounded = parse_run_config(
      "pools: [{ name: a, provider: openai-compatible, endpoint: 'http://127.0.0.1:1/v1', "
      "lanes: [{ model: m, quota: { usd_per_day: 5 }, price: { input: 1, output: 2 } }] }]",
      "p");
  ASSERT_FALSE(unbounded.has_value());
  EXPECT_THAT(unbounded.error().message,
              HasSubstr("lanes[0].max_output_tokens: missing; quota.usd_per_day"));
}

/// The first pool of a configuration with this one pool, or the problem.
result<pool_config> one_pool(const std::string& text) {
  auto config = parse_run_config("pools: [{ name: p, " + text + " }]", "p");
  if (!config) return config.error();
  return config->pools.at(0);
}

TEST(config, clouds_have_their_public_hosts) {
  const auto endpoint = [](const std::string& text) {
    const auto pool = one_pool(text + ", lanes: [{ model: m }]");
    return pool ? pool->endpoint : pool.error().message;
  };
  const std::string aws = "provider: bedrock, auth: { aws: default }, region: eu-west-1";
  EXPECT_EQ(endpoint(aws), "https://bedrock-runtime.eu-west-1.amazonaws.com");
  EXPECT_EQ(endpoint(aws + ", mantle: true"), "https://bedrock-mantle.eu-west-1.api.aws");
  EXPECT_EQ(endpoint(aws + ", endpoint: 'https://bedrock-runtime-fips.eu-west-1.amazonaws.com/'"),
            "https://bedrock-runtime-fips.eu-west-1.amazonaws.com");
  const std::string google = "provider: vertex, auth: { google: metadata }, project: q, location: ";
  EXPECT_EQ(endpoint(google + "global"), "https://aiplatform.googleapis.com");
  EXPECT_EQ(endpoint(google + "eu"), "https://aiplatform.eu.rep.googleapis.com");
  EXPECT_EQ(endpoint(google + "europe-west4"), "https://europe-west4-aiplatform.googleapis.com");
  EXPECT_EQ(endpoint("provider: anthropic, auth: { api_key: env:K }"), "https://api.anthropic.com");
  EXPECT_THAT(endpoint("provider: bedrock, auth: { aws: default }"),
              HasSubstr("pools[0].region: missing"));
  EXPECT_THAT(endpoint("provider: vertex, auth: { google: metadata }, location: us"),
              HasSubstr("pools[0].project: missing"));
}

TEST(config, a_lane_has_the_form_its_model_is_asked_in) {
  using enum lane_surface;
  const auto surface = [](const std::string& pool, const std::string& as) {
    const auto made = one_pool(pool + ", lanes: [{ model: m, as: '" + as + "' }]");
    EXPECT_TRUE(made) << made.error().message;
    return made ? made->lanes.at(0).surface : openai;
  };
  const std::string aws = "provider: bedrock, auth: { aws: default }, region: us-east-1";
  EXPECT_EQ(surface(aws, "us.anthropic.claude-sonnet-4-5-v1:0"), converse);
  EXPECT_EQ(surface(aws, "openai.gpt-oss-120b-1:0"), openai);
  EXPECT_EQ(surface(aws, "global.openai.gpt-6-sol"), openai);
  EXPECT_EQ(surface(aws, "us.openai.gpt-5.4"), responses);
  EXPECT_EQ(surface(aws + ", mantle: true", "openai.gpt-5.4"), openai);
  EXPECT_EQ(surface(aws, "amazon.titan-embed-text-v2:0"), invoke);
  const std::string google =
      "provider: vertex, auth: { google: metadata }, project: q, location: global";
  EXPECT_EQ(surface(google, "gemini-3.8-flash"), generate_content);
  EXPECT_EQ(surface(google, "openai/gpt-oss-120b-maas"), openai);
  EXPECT_EQ(surface(google, "gemini-embedding-001"), predict);
  EXPECT_EQ(surface(google, "gpt-6-sol"), responses);
  const std::string here = "projects/embed/locations/global/";
  EXPECT_EQ(surface(google, here + "publishers/google/models/gemini-3.8-flash"), generate_content);
  EXPECT_EQ(surface(google, here + "publishers/google/models/gemini-embedding-001"), predict);
  EXPECT_EQ(surface(google, here + "endpoints/123"), generate_content);
  EXPECT_EQ(surface(google, "publishers/google/models/gemini-3.8-flash"), generate_content);
  EXPECT_EQ(surface(google, "publishers/google/models/gemini-embedding-001"), predict);
  EXPECT_EQ(surface(google, "endpoints/123"), generate_content);
  const std::string azure =
      "provider: azure-openai, endpoint: 'https://a.openai.azure.com', auth: { api_key: env:K }";
  EXPECT_EQ(surface(azure, "d"), openai);
  EXPECT_EQ(surface(azure + ", api_version: 2024-10-21", "d"), dated);
  EXPECT_EQ(surface("provider: anthropic, auth: { api_key: env:K }", "claude-x"), messages);
}

TEST(config, what_a_cloud_does_not_have_is_an_error_before_it_is_asked) {
  const auto problem = [](const std::string& pool, const std::string& lane) {
    const auto made = one_pool(pool + ", lanes: [{ model: m, " + lane + " }]");
    return made ? std::string() : made.error().message;
  };
  const std::string mantle =
      "provider: bedrock, auth: { aws: default }, region: us-east-1, mantle: true";
  EXPECT_THAT(problem(mantle, "as: openai.x, surface: converse"),
              HasSubstr("surface: expected openai or responses"));
  EXPECT_THAT(problem(mantle, "as: us.openai.x"),
              HasSubstr("as: expected an id without a geography"));
  EXPECT_THAT(problem(mantle, "as: global.openai.x"), HasSubstr("as in openai.x"));
  EXPECT_EQ(problem(mantle, "as: openai.x"), "");
  const std::string azure = "provider: azure-openai, auth: { api_key: env:K }, endpoint: ";
  EXPECT_THAT(problem(azure + "'https://a.openai.azure.com', api_version: 2024-10-21",
                      "as: d, surface: responses"),
              HasSubstr("surface: expected dated"));
  EXPECT_THAT(problem(azure + "'https://a.openai.azure.com/openai/deployments/d'", "as: d"),
              HasSubstr("endpoint: expected https://a.openai.azure.com: the deployment is"));
  const std::string google =
      "provider: vertex, auth: { google: metadata }, project: q, location: global";
  EXPECT_THAT(problem(google, "as: claude-sonnet-4-5"), HasSubstr("Claude on Vertex"));
  EXPECT_THAT(problem(google, "as: llama-3-maas"), HasSubstr("the publisher too"));
  EXPECT_EQ(problem(google, "as: meta/llama-3-maas"), "");
  const std::string openai = "provider: openai, auth: { api_key: env:K }, endpoint: ";
  EXPECT_THAT(problem(openai + "'https://eu.api.openai.com'", "as: x"),
              HasSubstr("endpoint: expected https://eu.api.openai.com/v1"));
  EXPECT_THAT(problem(openai + "'https://api.openai.com/v1/'", "as: x, price: { input: 1 }"),
              HasSubstr("price.output: missing"));
  EXPECT_EQ(problem(openai + "'https://p.x.org'", "as: text-embedding-3, price: { input: 1 }"), "");
}

TEST(config, an_address_declares_where_prompts_are_worked_on) {
  const auto residency = [](const std::string& pool, const std::string& lane) {
    const auto made = one_pool(pool + ", lanes: [{ model: m, " + lane + " }]");
    if (!made) return std::vector<std::string>{made.error().message};
    return made->lanes.at(0).residency;
  };
  const std::string aws = "provider: bedrock, auth: { aws: default }, region: ";
  EXPECT_THAT(residency(aws + "us-east-1", "as: openai.x"), ElementsAre("us"));
  EXPECT_THAT(residency(aws + "eu-west-1", "as: eu.openai.x"), ElementsAre("eu"));
  EXPECT_THAT(residency(aws + "us-east-1", "as: global.openai.x"), ElementsAre());
  EXPECT_THAT(residency(aws + "us-east-1, residency: [us]", "as: global.openai.x"), ElementsAre())
      << "a pool's word does not reach what is worked on anywhere";
  EXPECT_THAT(residency(aws + "us-east-1", "as: us.openai.x, residency: [eu]"),
              ElementsAre(HasSubstr("lanes[0].residency: expected us among them")));
  EXPECT_THAT(
      residency(aws + "us-east-1", "as: eu.openai.x"),
      ElementsAre(HasSubstr("lanes[0].as: expected an inference profile of the pool's region "
                            "us-east-1, found eu.openai.x")));
  EXPECT_THAT(residency(aws + "us-east-1, residency: [eu]", "as: us.openai.x"),
              ElementsAre(HasSubstr("lanes[0].residency: expected us among them")));
  for (const char* place : {"eu-west-2", "ca-central-1", "eu-west-1, endpoint: 'https://p.x.org'"})
    EXPECT_THAT(residency(aws + place, "as: eu.openai.x"), ElementsAre())
        << "the prompt leaves from a place that nothing is known of: " << place;
  EXPECT_THAT(residency(aws + "eu-west-2, residency: [eu]", "as: eu.openai.x"), ElementsAre("eu"));
  EXPECT_THAT(residency(aws + "eu-west-2", "as: openai.x"), ElementsAre());
  const std::string google = "provider: vertex, auth: { google: metadata }, project: q, location: ";
  EXPECT_THAT(residency(google + "global", "as: gemini-x"), ElementsAre());
  EXPECT_THAT(residency(google + "europe-west4", "as: gemini-x"), ElementsAre("eu"));
  EXPECT_THAT(residency(google + "europe-west2", "as: gemini-x"), ElementsAre());
  EXPECT_THAT(residency(google + "us", "as: gemini-x, residency: [ca]"), ElementsAre("ca"));
  const std::string openai = "provider: openai, auth: { api_key: env:K }";
  EXPECT_THAT(residency(openai, "as: x"), ElementsAre());
  EXPECT_THAT(residency(openai + ", endpoint: 'https://eu.api.openai.com/v1'", "as: x"),
              ElementsAre("eu"));
  EXPECT_THAT(residency(openai + ", endpoint: 'https://eu.api.openai.com.x.org/v1'", "as: x"),
              ElementsAre());
}

/// Of a pool with one lane: its residency, or the problem instead.
std::vector<std::string> residency_of(const std::string& pool, const std::string& as,
                                      const std::string& more = "") {
  const auto made = one_pool(pool + ", lanes: [{ model: m, as: '" + as + "'" + more + " }]");
  if (!made) return {made.error().message};
  return made->lanes.at(0).residency;
}

TEST(config, an_arn_is_of_the_pools_region_and_may_hide_where_it_leads) {
  const std::string pool = "provider: bedrock, auth: { aws: default }, region: eu-west-1";
  const auto arn = [](const std::string& region, const std::string& resource) {
    return "arn:aws:bedrock:" + region + ":1:" + resource;
  };
  for (const char* kind : {"foundation-model/openai.x", "provisioned-model/abc",
                           "application-inference-profile/abc", "inference-profile/us.x.y"})
    EXPECT_THAT(residency_of(pool, arn("us-east-1", kind)),
                ElementsAre(HasSubstr("p:1: pools[0].lanes[0].as: expected a name of the pool's "
                                      "region eu-west-1, found arn:aws:bedrock:us-east-1:1:")))
        << kind;
  EXPECT_THAT(residency_of(pool, "arn:aws:bedrock"), ElementsAre(HasSubstr("region eu-west-1")));
  for (const char* kind : {"foundation-model/openai.x", "provisioned-model/abc"})
    EXPECT_THAT(residency_of(pool, arn("eu-west-1", kind)), ElementsAre("eu")) << kind;
  EXPECT_THAT(residency_of(pool, arn("eu-west-1", "inference-profile/eu.x.y")), ElementsAre("eu"));
  for (const char* kind :
       {"application-inference-profile/abc", "inference-profile/new.x.y", "prompt-router/abc",
        "inference-profile/global.x.y", "custom-model-deployment/abc"})
    EXPECT_THAT(residency_of(pool, arn("eu-west-1", kind)), ElementsAre()) << kind;
  const auto application = arn("eu-west-1", "application-inference-profile/abc");
  EXPECT_THAT(residency_of(pool, application, ", residency: [eu]"), ElementsAre("eu"));
  EXPECT_THAT(residency_of(pool + ", residency: [eu]", application), ElementsAre("eu"));
  EXPECT_THAT(residency_of(pool, "new.anthropic.claude-x"), ElementsAre())
      << "a geography that is not known yet";
}

TEST(config, a_full_name_on_vertex_is_of_the_pools_location) {
  const std::string pool = "provider: vertex, auth: { google: metadata }, project: q, location: eu";
  const std::string rest = "/publishers/google/models/gemini-x";
  EXPECT_THAT(residency_of(pool, "projects/q/locations/us-central1" + rest),
              ElementsAre(HasSubstr("lanes[0].as: expected a name of the pool's location eu")));
  EXPECT_THAT(residency_of(pool, "projects/q"), ElementsAre(HasSubstr("location eu")));
  EXPECT_THAT(residency_of(pool, "projects/q/locations/eu" + rest), ElementsAre("eu"));
  EXPECT_THAT(residency_of(pool, "endpoints/123"), ElementsAre("eu"));
}

TEST(config, an_endpoint_of_another_place_is_a_problem_and_an_unknown_one_says_nothing) {
  const auto residency = [](const std::string& pool, const std::string& host) {
    return residency_of(pool + ", endpoint: '" + host + "'", "x");
  };
  const std::string aws = "provider: bedrock, auth: { aws: default }, region: eu-west-1";
  const std::string google =
      "provider: vertex, auth: { google: metadata }, project: q, location: europe-west4";
  const std::string openai = "provider: openai, auth: { api_key: env:K }";
  struct row {
    std::string pool, host, expected;
  };
  const row wrong[] = {
      {aws, "https://bedrock-runtime.us-east-1.amazonaws.com", "region eu-west-1, found one of us"},
      {aws, "https://BEDROCK-runtime.eu-west-2.amazonaws.com", "found one of eu-west-2"},
      {aws, "https://bedrock-runtime-fips.us-east-1.amazonaws.com", "found one of us-east-1"},
      {aws, "https://bedrock-runtime.us-east-1.api.aws", "found one of us-east-1"},
      {aws, "https://bedrock-mantle.us-east-1.api.aws", "found one of us-east-1"},
      {google, "https://us-central1-aiplatform.googleapis.com",
       "location europe-west4, found one of us-central1"},
      {google, "https://aiplatform.us.rep.googleapis.com", "found one of us"},
      {google, "https://aiplatform.googleapis.com", "found one of global"},
      {openai + ", region: eu", "https://us.api.openai.com/v1", "region eu, found one of us"},
      {openai + ", region: eu-west-1", "https://us.api.openai.com/v1", "found one of us"},
      {openai + ", region: jp", "https://us.api.openai.com/v1", "region jp, found one of us"},
  };
  for (const auto& [pool, host, expected] : wrong)
    EXPECT_THAT(
        residency(pool, host),
        ElementsAre(AllOf(HasSubstr("p:1: pools[0].endpoint: expected a host of the pool's"),
                          HasSubstr(expected))))
        << host;
  EXPECT_THAT(residency(aws, "https://bedrock-runtime-fips.eu-west-1.amazonaws.com"),
              ElementsAre("eu"));
  EXPECT_THAT(residency(google, "https://aiplatform.europe-west4.rep.googleapis.com"),
              ElementsAre("eu"));
  EXPECT_THAT(residency(openai + ", region: somewhere", "https://jp.api.openai.com/v1"),
              ElementsAre("jp"));
  for (const char* host :
       {"https://proxy.example", "https://10.0.0.1", "https://vpce-1.example.aws",
        "https://bedrock-runtime.eu-west-1.amazonaws.com.x.org",
        "https://x.bedrock-runtime.eu-west-1.amazonaws.com",
        "https://x.europe-west4-aiplatform.googleapis.com"}) {
    for (const auto& pool : {aws, google}) {
      EXPECT_THAT(residency(pool, host), ElementsAre()) << host;
      EXPECT_THAT(residency(pool + ", residency: [eu]", host), ElementsAre("eu")) << host;
    }
  }
  EXPECT_THAT(residency(aws, "http://127.0.0.1:9000"), ElementsAre("eu")) << "a simulator";
}

TEST(config, tiers_are_lanes_where_they_are_sold) {
  const std::string openai = "provider: openai, auth: { api_key: env:K }";
  const auto made = one_pool(openai +
                             ", organization: org-1, project: proj_1, lanes: [{ model: m }, "
                             "{ model: m, tier: flex }, { model: m, tier: priority }]");
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->lanes[1].name(), "m:flex");
  EXPECT_EQ(made->organization, "org-1");
  EXPECT_EQ(made->project_id, "proj_1");
  EXPECT_THAT(
      one_pool(openai + ", organization: \"a\\r\\nb\", lanes: [{ model: m }]").error().message,
      HasSubstr("expected letters"));
  EXPECT_THAT(one_pool("provider: anthropic, auth: { api_key: env:K }, "
                       "lanes: [{ model: m, tier: flex }]")
                  .error()
                  .message,
              HasSubstr("lanes[0].tier: provider anthropic has no tier flex"));
}

TEST(config, an_unreadable_file_is_named) {
  for (const char* path : {"/nonexistent/pools.yaml", "/"}) {
    const auto config = load_run_config(path);
    ASSERT_FALSE(config.has_value());
    EXPECT_THAT(config.error().message, HasSubstr(path));
    EXPECT_EQ(exit_code(config.error().kind), 2);
  }
}

TEST(paths, derive_from_the_output) {
  const auto plain = derive_paths("dir/out.jsonl", "", "");
  EXPECT_EQ(plain.errors, "dir/out.errors.jsonl");
  EXPECT_EQ(plain.state, "dir/out.state");
  EXPECT_EQ(plain.stem, "out");
  const auto other = derive_paths("out.txt", "e", "s");
  EXPECT_EQ(other.errors, "e");
  EXPECT_EQ(other.state, "s");
  EXPECT_EQ(derive_paths("out.txt", "", "").state, "out.txt.state");
}

TEST(paths, inputs_that_cannot_be_read_twice_are_refused) {
  const auto paths = derive_paths("o.jsonl", "", "");
  for (const char* input : {"-", "/nonexistent/in.jsonl", "/dev/null", "/tmp", "/tmp/x.jsonl.gz"})
    EXPECT_FALSE(check_paths(paths, {input}, "c.yaml").has_value()) << input;
}

TEST(paths, no_file_has_two_roles) {
  const std::string self = "/proc/self/exe";  // a regular file that is always there
  EXPECT_FALSE(check_paths(derive_paths(self, "", ""), {self}, "c.yaml").has_value());
  EXPECT_FALSE(check_paths(derive_paths("o.jsonl", "", ""), {self, self}, "c.yaml").has_value());
  EXPECT_FALSE(check_paths(derive_paths("o.jsonl", "./o.jsonl", ""), {self}, "c").has_value());
  EXPECT_FALSE(check_paths(derive_paths("x/../c.yaml", "", ""), {self}, "c.yaml").has_value());
  EXPECT_TRUE(check_paths(derive_paths("o.jsonl", "", ""), {self}, "c.yaml").has_value());
}

}  // namespace
}  // namespace spillway
