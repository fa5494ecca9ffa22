// What sim.yaml says, as values: the pools to imitate, their quotas, latencies and faults.
#pragma once

#include "schemas/config.hpp"
#include "schemas/result.hpp"
#include "schemas/units.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::simulated {

inline constexpr std::size_t pools_max = 64;  // a pool is one bit in the record of known ids

enum class fault_kind {
  error,          ///< a complete error answer
  hang,           ///< no answer until the client leaves
  hold,           ///< no answer until the pool's faults are replaced
  reset,          ///< half an answer, then the connection is cut
  quota,          ///< the quota is multiplied by `factor`
  down,           ///< every call gets 503, or its connection closed
  missing_model,  ///< the model is not known
};

struct fault_config {
  fault_kind kind = fault_kind::error;
  double share = 1;        ///< error, hang, hold, reset: of calls no earlier one took
  bool by_prompt = false;  ///< choose by prompt, so that a retry meets the same fault again
  duration from{};         ///< since the simulator started
  duration to = duration::max();
  int status = 500;                     ///< error
  std::string code, message;            ///< error: instead of the provider's usual ones
  std::optional<duration> retry_after;  ///< error
  double factor = 1;                    ///< quota
  bool close = false;                   ///< down: close the connection instead of 503
  std::string model;                    ///< missing_model; empty = every model
};

struct latency_config {
  duration median{};
  double sigma = 0;  ///< of the logarithm; 0 = fixed
};

struct quota_spec {
  std::optional<std::int64_t> rpm, tpm, concurrency;
  std::optional<duration> burst;  ///< how much of the allowance can be saved up; see README.md
  std::optional<std::int64_t> input_tpm = std::nullopt;   ///< where a provider counts
  std::optional<std::int64_t> output_tpm = std::nullopt;  ///< input and output apart
  std::optional<std::int64_t> tpd = std::nullopt;         ///< tokens a UTC day
};

/// A key, and when it holds.
struct key_spec {
  std::string key;
  duration from{};
  duration until = duration::max();
};

struct pool_spec {
  std::string name;
  provider_kind provider = provider_kind::openai;
  std::string api_key;              ///< one key that always holds; empty: none
  std::vector<key_spec> api_keys;   ///< besides; without any, and without identity, all may call
  bool identity = false;            ///< takes what the identity section gives out
  std::vector<std::string> models;  ///< empty: any model
  latency_config latency;
  std::int64_t output_tokens = 40;  ///< mean
  double cached_share = 0;
  quota_spec quota;
  price_config price;
  std::vector<fault_config> faults;
  std::string served_tier;                 ///< that answers name; empty: the one asked for
  std::int64_t reasoning_tokens = 0;       ///< of each answer, before its text
  std::int64_t max_output_tokens = 4096;   ///< the model's own limit, for prompts without one
  bool mantle = false;                     ///< Bedrock: the OpenAI-compatible host
  std::vector<std::string> signing_names;  ///< Bedrock: services a signature may be made for
  std::string region;                      ///< Bedrock
  std::string project, location;           ///< Vertex; empty: any
  std::vector<std::string> api_versions;   ///< Azure's dated form; empty: any date

  /// Path of the pool's base URL: "/NAME/v1", "/NAME/openai/v1" for Azure, and "/NAME" where a
  /// pool's endpoint names the host alone (Bedrock, Vertex, Anthropic).
  [[nodiscard]] std::string base_path() const;
};

/// Who gives out credentials: each part is there when the section has it.
struct google_identity {
  std::string client_email, project;
  std::string key_file;         ///< where to write a service-account key; empty: nowhere
  std::string public_key_file;  ///< a key of the user's own to check assertions with instead
  std::vector<fault_config> faults;
};
struct entra_identity {
  std::string tenant, client_id, client_secret;
  std::vector<fault_config> faults;
};
struct aws_identity {
  std::string access_key_id, secret_access_key, session_token;
  std::string role_arn;
  std::string web_identity_token;  ///< the one STS takes; empty: any
  std::string container_token;     ///< Authorization of the container endpoint; empty: none asked
  std::vector<fault_config> faults;
};
struct identity_spec {
  duration token_lifetime = std::chrono::hours(1);
  duration clock_ahead{};  ///< of the providers' clocks, by which they judge signatures and tokens
  std::optional<google_identity> google;
  std::optional<entra_identity> entra;
  std::optional<aws_identity> aws;
};

struct tls_files {
  std::string cert_file, key_file;
};

}  // namespace spillway::simulated

namespace spillway {

struct simulator_config {
  std::string host = "127.0.0.1";  ///< a numeric loopback address
  std::uint16_t port = 0;          ///< 0 = any free one
  std::uint64_t seed = 1;
  unsigned threads = 1;
  std::optional<simulated::tls_files> tls;
  std::vector<simulated::pool_spec> pools;
  simulated::identity_spec identity;
};

/// All problems of the file as one usage failure, "name:line: key: problem" one a line.
[[nodiscard]] result<simulator_config> parse_simulator_config(std::string_view text,
                                                              std::string name);
[[nodiscard]] result<simulator_config> load_simulator_config(const std::string& path);

}  // namespace spillway
