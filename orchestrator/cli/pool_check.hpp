// What the answers to a check of a pool mean, as findings with remedies. Pure;
// `pools check` asks.
#pragma once

#include "orchestrator/cli/probe_http.hpp"
#include "schemas/config.hpp"
#include "schemas/outcome.hpp"
#include "schemas/prompt.hpp"
#include "workers/provider.hpp"

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace spillway {

enum class check_level { ok, warning, problem };
[[nodiscard]] const char* name_of(check_level);

struct check_finding {
  std::string lane;  ///< empty: of the whole pool
  std::string what;  ///< "credentials", "reachable", "clock", "endpoint", "health", "model",
                     ///< "limits", "prompt"
  check_level level = check_level::ok;
  std::string text;    ///< one line
  std::string remedy;  ///< empty when there is nothing to do
};
using check_findings = std::vector<check_finding>;

/// The path of a pool's model list: that of its calls with "models" in the place of what they end
/// in ("/v1/chat/completions", "/v1/messages"); empty for calls of another form.
[[nodiscard]] std::string models_path(std::string_view call_target);

/// True when requests of the pool are signed with the time.
[[nodiscard]] bool is_signed(const pool_config&);

/// True when the provider lists its models to whoever may call them, free of
/// charge.
[[nodiscard]] bool lists_models(const pool_config&);

/// True for servers of one's own, which tell at a path of their own whether they are well.
[[nodiscard]] bool tells_health(const pool_config&);

/// That path, beside the API's: "/v1" and "" give "/health", "/a/v1" gives "/a/health".
[[nodiscard]] std::string health_path(std::string_view endpoint_prefix);

/// The smallest prompt, as a line of the Batch form.
[[nodiscard]] std::string smallest_prompt(const std::string& model, endpoint_kind);

/// A body that the lane refuses before anything is computed or billed.
[[nodiscard]] std::string empty_body(const lane_config&);

[[nodiscard]] check_finding reached(const pool_config&, const probe_answer&);

/// Compares the answer's `date` with the middle of the exchange. Nothing
/// without a date.
[[nodiscard]] std::optional<check_finding> clock_of(const pool_config&, const http_response&,
                                                    time_point sent, time_point answered);

/// The ids of {"data": [{"id": ...}]}; nothing when it is no such list.
[[nodiscard]] std::optional<std::set<std::string>> read_model_list(std::string_view body);

/// Of credentials that could not be had: `why` as the authenticator tells it.
[[nodiscard]] check_finding no_credentials(std::string_view why);

/// Of what a server says of its health.
[[nodiscard]] check_finding judge_health(const probe_answer&);

/// Of a model list that was answered: credentials, and each lane's model.
[[nodiscard]] check_findings judge_list(const pool_config&, const http_response&,
                                        const outcome& as_call);

/// Of a call with an empty body: why it was refused tells about credentials, and of the model only
/// that it is missing. A provider may judge the body before it looks for the model.
[[nodiscard]] check_findings judge_refusal(const pool_config&, const lane_config&, const outcome&);

/// Of a prompt that was really sent.
[[nodiscard]] check_findings judge_prompt(const pool_config&, const lane_config&, const outcome&);

/// Limits that the answer named, against the lane's quota.
[[nodiscard]] std::optional<check_finding> limits_of(const lane_config&, const outcome&);

}  // namespace spillway
