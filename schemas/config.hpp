// The validated configuration as values: what a user's YAML file says, with defaults filled in.
#pragma once

#include "schemas/auth_config.hpp"
#include "schemas/ids.hpp"
#include "schemas/units.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace spillway {

enum class provider_kind { openai, azure_openai, openai_compatible, bedrock, vertex, anthropic };
/// How a lane is asked, where a provider has several wire forms.
enum class lane_surface {
  openai,            ///< the prompt's own form
  dated,             ///< Azure: deployment in the path, api-version in the query
  converse,          ///< Bedrock
  invoke,            ///< Bedrock, the model's native body
  generate_content,  ///< Vertex
  predict,           ///< Vertex, embeddings
  responses,         ///< chat prompts as OpenAI Responses
  messages,          ///< Anthropic
};
enum class lane_tier { standard, flex, priority, provisioned, self_hosted };
enum class lane_order { cost, latency, as_listed, weights };
enum class in_doubt_policy { resend, hold };
/// What happens to a parameter that a lane can't map.
enum class unmappable_policy {
  restrict,  ///< the prompt goes to other lanes only
  drop,      ///< what is droppable is left out, and named in the result row
};

[[nodiscard]] const char* name_of(provider_kind);
[[nodiscard]] const char* name_of(lane_surface);
[[nodiscard]] const char* name_of(lane_tier);
[[nodiscard]] const char* name_of(lane_order);
[[nodiscard]] const char* name_of(in_doubt_policy);
[[nodiscard]] const char* name_of(unmappable_policy);

/// Limits of a lane as the provider grants them; absent = no known limit.
struct quota_config {
  std::optional<std::int64_t> rpm;          ///< requests a minute
  std::optional<tokens> tpm;                ///< tokens a minute, by the provider's own counting
  std::optional<std::int64_t> concurrency;  ///< calls at once
  std::optional<std::int64_t> rpd;          ///< requests a UTC day
  std::optional<nano_usd> usd_per_day;      ///< spend a UTC day
  double headroom = 0;                      ///< share in [0, 1) left to other traffic
};

struct token_prices {
  pico_usd_per_token input;
  pico_usd_per_token output;
  std::optional<pico_usd_per_token> cached_input{};  ///< absent: cached tokens cost `input`
  /// Of input tokens written to a prompt cache, and to one that lasts an hour. Absent: `input`, and
  /// `cache_write`.
  std::optional<pico_usd_per_token> cache_write{}, cache_write_1h{};
};

/// What a request costs as a whole when its input is longer than `above`.
struct price_step {
  tokens above;
  token_prices prices;
};

struct price_config : token_prices {
  std::vector<price_step> steps{};  ///< ascending
};

struct lane_config {
  std::string model;  ///< logical model: what a prompt's body.model says
  std::string as;     ///< the pool's own name for it
  lane_surface surface = lane_surface::openai;
  lane_tier tier = lane_tier::standard;
  quota_config quota;
  std::optional<price_config> price;
  /// What the provider bills where it serves a call at another tier than the lane's, as far as
  /// that is known.
  std::map<lane_tier, price_config> other_tiers{};
  std::string price_key;  ///< of a price file; empty: derived from pool and lane
  std::optional<tokens> max_output_tokens;
  duration timeout = std::chrono::minutes(10);
  std::vector<std::string> residency;     ///< the lane's own or its pool's; empty = undeclared
  std::vector<std::string> data_classes;  ///< what it keeps to ("no-train"); its own or its pool's
  /// What its vectors come from, where `as` does not tell: lanes of one logical model answer
  /// embeddings only if they agree in it.
  std::string embedding_model;

  /// Unique within its pool: `as`, and the tier when it is not standard ("mini-prod",
  /// "x:self-hosted").
  [[nodiscard]] std::string name() const;
};

struct pool_config {
  std::string name;
  provider_kind provider = provider_kind::openai;
  std::string endpoint;  ///< scheme://host[:port][/prefix], no trailing slash
  auth_config auth;
  std::string ca_file;                   ///< empty: the system's trust store
  std::string region;                    ///< empty: not declared
  std::string project, location;         ///< Vertex
  std::string api_version;               ///< Azure's dated form
  bool mantle = false;                   ///< Bedrock: the host of the Mantle service
  std::string organization, project_id;  ///< OpenAI: headers, when not empty
  std::optional<std::int64_t> connections;
  std::vector<std::string> data_classes;  ///< of lanes that declare none of their own
  std::vector<lane_config> lanes;
};

/// How much a lane is preferred; of a "pool/lane", or of all lanes of a "pool".
struct lane_weight {
  std::string lane;
  std::int64_t weight = 0;
  friend bool operator==(const lane_weight&, const lane_weight&) = default;
};

/// Which lanes a job may use besides its residency. Every non-empty list of names is a condition,
/// and a lane that does not declare what is asked for is refused.
struct route_policy {
  std::map<std::string, std::string> models;  ///< alias -> model: other names for body.model
  std::vector<std::string> lanes;             ///< allowed: "pool" or "pool/lane"
  std::vector<std::string> pools;             ///< allowed
  std::vector<std::string> deny_lanes, deny_pools;
  std::vector<std::string> providers, regions;  ///< allowed
  std::vector<std::string> data_classes;        ///< a lane must declare all of them
  std::vector<lane_weight> weights;  ///< of order `weights`: shares; others last, by cost
  std::optional<unmappable_policy> unmappable;  ///< absent: restrict

  /// This one laid over `defaults`: what it leaves empty is theirs.
  [[nodiscard]] route_policy over(route_policy defaults) const;
  friend bool operator==(const route_policy&, const route_policy&) = default;
};

/// The job's policy: what may be spent, where prompts may run, when to give up.
struct job_config {
  lane_order order = lane_order::cost;
  std::optional<std::vector<std::string>> residency;  ///< absent = no constraint
  route_policy routes;
  std::optional<nano_usd> budget;
  in_doubt_policy in_doubt = in_doubt_policy::resend;
  std::int64_t max_attempts = 6;
  std::optional<double> max_error_rate;
  duration stall_timeout = std::chrono::minutes(10);
};

struct run_config {
  std::vector<pool_config> pools;
  job_config job;
};

/// A librdkafka property: a value, or a reference to a secret.
struct kafka_property {
  std::string name;
  std::string value;                 ///< empty when it is a secret
  std::optional<secret_ref> secret;  ///< read when a client is made
};

/// Where the fleet's log is. Topics are named `<fleet>.jobs` and so on, the group `<fleet>`.
struct kafka_config {
  std::vector<std::string> brokers;  ///< host:port
  std::string fleet = "spillway";
  std::int32_t partitions = 16;  ///< for `topics create`
  std::int32_t replication = 3;  ///< for `topics create`
  std::vector<kafka_property> properties;
};

/// One process of a fleet.
struct member_config {
  std::string id;     ///< empty: not set; identity in the group
  std::string state;  ///< empty: not set; folder of the local index
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 8080;
  std::optional<duration> drain_timeout;  ///< absent: the longest timeout of a lane
  std::string audit;  ///< file for what jobs may do and did; empty: none is kept
};

}  // namespace spillway
