#include "workers/providers/errors.hpp"

#include "workers/providers/error_words.hpp"
#include "workers/providers/text.hpp"

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

namespace spillway {

namespace {

using namespace error_words;

/// The types of a malformed response that can be read.
constexpr std::string_view not_as_asked = "not_as_asked", fewer_choices = "fewer_choices";

constexpr error_rule table[] = {
    // Money. The code decides, not the type: OpenAI files several codes under one type.
    {any, 400, 499, "insufficient_quota", "", "", B | S, firm},
    {any, 400, 499, "credit_balance_exhausted", "", "", B | S, firm},
    {any, 400, 499, "organization_spend_limit_exceeded", "", "", B | S, firm},
    {any, 400, 499, "project_spend_limit_exceeded", "", "", B | S, firm},
    {any, 400, 499, "organization_usage_limit_exceeded", "", "", B | S, firm},
    {any, 400, 499, "billing_hard_limit_reached", "", "", B | S, firm},
    {any, 400, 499, "billing_not_active", "", "", B | S, firm},
    {any, 402, 402, "", "", "", B | S, firm},

    // Requests no waiting can help: larger than a whole minute's allowance.
    {any, 429, 429, "", "", "", S | D, firm | over_limit},
    {any, 413, 413, "rate_limit_exceeded", "", "", S | D, firm},
    {azure, 429, 429, "", "", "retry after 86400 seconds", S | D, firm},

    // Ramp, load and plain rate limits.
    {any, 429, 429, "slow_down", "", "", R, halve},
    {any, 503, 503, "slow_down", "", "", R, counts | halve},
    {any, 429, 429, "", "slow_down", "", R, halve},
    {any, 503, 503, "", "slow_down", "", R, counts | halve},
    {any, 429, 429, "resource_unavailable", "", "", R, 0},
    {any, 429, 429, "", "", "resource unavailable", R, 0},
    {azure, 429, 429, "", "", "high demand", R | H | S, 0},
    {local, 429, 429, "", "overloaded", "", R | S, 0},
    {any, 429, 429, "", "", "", R | Q | S, 0},

    // A model this lane doesn't have.
    {any, 400, 499, "model_not_found", "", "", C | S, firm},
    {any, 400, 499, "DeploymentNotFound", "", "", C | S, firm},
    {local, 404, 404, "", "", "model*not exist", C | S, firm},
    {local, 404, 404, "", "", "model*not found", C | S, firm},

    // Too long for this lane's context; another lane's may be larger.
    {any, 400, 499, "context_length_exceeded", "", "", S | D, firm},
    {local, 400, 599, "", "exceed_context_size_error", "", S | D, firm},
    {any, 400, 422, "", "", "context length", S | D, firm},
    {any, 400, 422, "", "", "context window", S | D, firm},
    {local, 400, 422, "", "", "available context size", S | D, firm},
    {local, 400, 422, "", "", "maximum model length", S | D, firm},
    {local, 400, 422, "", "", "`inputs` tokens + `max_new_tokens` must be", S | D, firm},
    {local, 400, 422, "", "", "`inputs` must have less than", S | D, firm},

    // Content and policy: the same everywhere, so never spilled.
    {any, 400, 499, "content_filter", "", "", D, firm},
    {any, 400, 499, "ResponsibleAIPolicyViolation", "", "", D, firm},
    {any, 400, 499, "content_policy_violation", "", "", D, firm},
    {any, 400, 499, "invalid_prompt", "", "", D, firm},

    // A lane that can't do this at all, while others may.
    {azure, 400, 400, "OperationNotSupported", "", "", S | D, firm},
    {local, 501, 501, "", "", "", S | D, firm},

    // Credentials, permission, region; a redirect is a gateway's log-in page.
    {any, 300, 399, "", "", "", A | S, firm},
    {any, 401, 401, "", "", "", A | S, firm | stale},
    {any, 403, 403, "", "", "", A | S, firm},
    {any, 407, 407, "", "", "", A | S, firm},
    // What a prompt names is not there; anything else that is not is the path, so the lane's.
    {any, 404, 404, "", "", "with id*not found", S | D, 0},
    {any, 404, 404, "", "", "no such file", S | D, 0},
    {any, 404, 404, "", "", "", C | S, firm},

    // Trouble of the moment.
    {any, 408, 408, "", "", "", R | H | S, counts | doubt},
    {any, 409, 409, "", "", "", R | H | S, counts},
    {local, 424, 424, "", "", "", R, counts},
    {any, 425, 425, "", "", "", R, counts},
    {any, 499, 499, "", "", "", R | H | S, counts},
    {local, 503, 503, "", "unavailable_error", "", R | H, counts},
    {any, 504, 504, "", "", "", R | H | S, counts | doubt},
    {any, 500, 599, "", "", "", R | H | S, counts},
    {any, 400, 499, "", "", "", D, form},

    // Failures inside an answer of status 200.
    {any, 200, 200, "server_error", "", "", R | H | S, counts},
    {any, 200, 200, "rate_limit_exceeded", "", "", R | Q | S, 0},
    {any, 200, 200, "context_length_exceeded", "", "", S | D, firm},
    {any, 200, 200, "vector_store_timeout", "", "", R, counts},
    {any, 200, 200, "data_residency_mismatch", "", "", S | D, firm},
    {any, 200, 200, "abort", "", "", R | H | S, counts},
    {any, 200, 200, "response_cancelled", "", "", R | H | S, counts},
    {any, 200, 200, "response_failed", "", "", R | H | S, counts},
    // It may be its way: no second call, and no sign of being unwell.
    {any, 200, 200, "malformed_response", fewer_choices, "", S | D, counts | doubt},
    {any, 200, 200, "malformed_response", not_as_asked, "", R | H | S, counts | doubt | once},
    {any, 200, 200, "malformed_response", "", "", R | H | S, counts | doubt},
    {any, 200, 200, "response_not_finished", "", "", D, firm | doubt},
    {any, 200, 200, "content_filter", in_an_answer, "", D, firm},
    {any, 200, 200, "invalid_prompt", in_an_answer, "", D, firm},
    {any, 200, 200, "", in_an_answer, "", R | H | S, counts},
    {any, 200, 200, "", "", "", D, 0},

    // Anything else is not HTTP as we know it.
    {any, 0, 999'999, "", "", "", R | H | S, counts | doubt},
};

struct transport_rule {
  transport_error error;
  bool written;
  std::string_view code, meaning;
  outcome_kind kind;
  unsigned actions, traits;
};

constexpr transport_rule transport_table[] = {
    {transport_error::connect, false, "connect_failed", "no connection", outcome_kind::retry, H, 0},
    {transport_error::tls, false, "tls_failed", "no TLS session", outcome_kind::retry, H, 0},
    {transport_error::reset, true, "connection_reset", "the connection ended before the answer did",
     outcome_kind::retry, H, counts | doubt},
    {transport_error::reset, false, "connection_reset", "the connection ended before sending",
     outcome_kind::retry, H, 0},
    {transport_error::timed_out, true, "timed_out", "no answer within the lane's timeout",
     outcome_kind::retry, H, counts | doubt},
    {transport_error::timed_out, false, "timed_out", "the request could not be sent in time",
     outcome_kind::retry, H, 0},
    {transport_error::malformed, true, "malformed_response", "the answer is not HTTP",
     outcome_kind::retry, H, counts | doubt},
    {transport_error::malformed, false, "malformed_response", "the peer does not speak HTTP",
     outcome_kind::retry, H, 0},
    // The next answer to the same prompt would be as large, and is billed each time.
    {transport_error::too_large, true, "response_too_large", "the answer is larger than allowed",
     outcome_kind::rejected, 0, doubt},
    {transport_error::too_large, false, "response_too_large", "the answer is larger than allowed",
     outcome_kind::rejected, 0, 0},
    {transport_error::cancelled, true, "cancelled", "stopped while waiting for the answer",
     outcome_kind::retry, 0, doubt},
    {transport_error::cancelled, false, "cancelled", "stopped before sending", outcome_kind::retry,
     0, 0},
};

/// The first number that follows `word`, as in "Limit 30000" or "limit: 10,000 / min".
std::optional<std::int64_t> number_after(std::string_view text, std::string_view word) {
  const auto digit = [&](std::size_t i) {
    return i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])) != 0;
  };
  for (std::size_t at = 0;;) {
    at = find_ignoring_case(text, word, at);
    if (at == std::string_view::npos) return std::nullopt;
    at += word.size();
    std::size_t i = at;
    while (i < text.size() && (text[i] == ' ' || text[i] == ':')) ++i;
    if (i == at || !digit(i)) continue;
    std::int64_t value = 0;
    for (; value < 1'000'000'000'000; ++i) {
      if (digit(i))
        value = value * 10 + (text[i] - '0');
      else if (i >= text.size() || text[i] != ',' || !digit(i + 1))
        break;
    }
    return value;
  }
}

bool matches(const error_rule& rule, error_source source, const error_report& report) {
  if ((rule.sources & source) == 0) return false;
  if (report.status < rule.status_min || report.status > rule.status_max) return false;
  const bool same_code = rule.code == report.code || rule.code == report.inner_code;
  if (!rule.code.empty() && !same_code) return false;
  if (!rule.type.empty() && rule.type != report.type) return false;
  if (!rule.message.empty() && !contains_like(report.message, rule.message)) return false;
  return (rule.traits & trait_over_limit) == 0 || requests_more_than_limit(report.message);
}

}  // namespace

error_source source_of(provider_kind kind) {
  switch (kind) {
    case provider_kind::openai: return from_openai;
    case provider_kind::azure_openai: return from_azure;
    case provider_kind::openai_compatible: return from_compatible;
    case provider_kind::bedrock: return from_bedrock;
    case provider_kind::vertex: return from_vertex;
    case provider_kind::anthropic: return from_anthropic;
  }
  return from_compatible;
}

error_report malformed_answer(std::string message) {
  error_report report;
  report.status = 200;
  report.code = "malformed_response";
  report.type = not_as_asked;
  report.message = std::move(message);
  return report;
}

error_report answer_with_fewer_choices(std::string message) {
  auto report = malformed_answer(std::move(message));
  report.type = fewer_choices;
  return report;
}

std::span<const error_rule> error_rules() {
  static const std::vector<error_rule> all = [] {
    std::vector<error_rule> joined;
    const std::span<const error_rule> common = table;
    for (const auto part :
         {aws_error_rules(), google_error_rules(), anthropic_error_rules(), common})
      joined.insert(joined.end(), part.begin(), part.end());
    return joined;
  }();
  return all;
}

const error_rule& rule_for(error_source source, const error_report& report) {
  const auto rules = error_rules();
  const auto found = std::find_if(rules.begin(), rules.end(), [&](const error_rule& rule) {
    return matches(rule, source, report);
  });
  return found == rules.end() ? rules.back() : *found;
}

bool requests_more_than_limit(std::string_view message) {
  const auto limit = number_after(message, "limit");
  const auto requested = number_after(message, "requested");
  // A limit of nothing says that nothing may be sent now, not that this is too much.
  if (limit && requested) return *limit > 0 && *requested > *limit;
  return find_ignoring_case(message, "request too large") != std::string_view::npos;
}

void apply_rule(const error_rule& rule, const error_report& report, std::string_view should_retry,
                outcome& out) {
  const unsigned actions = rule.actions, traits = rule.traits;
  out.quota_signal = (actions & act_quota) != 0;
  out.unhealthy = (actions & act_unhealthy) != 0;
  out.counts_attempt = (traits & trait_counts) != 0;
  out.in_doubt = (traits & trait_in_doubt) != 0;
  out.halve_rate = (traits & trait_halve_rate) != 0;
  out.stale_credentials = (traits & trait_stale) != 0;
  out.retry_once = (traits & trait_once) != 0;
  out.form_refused = (traits & trait_form) != 0;
  out.down = down_cause::none;
  if (actions & act_stop_auth)
    out.down = down_cause::auth;
  else if (actions & act_stop_billing)
    out.down = down_cause::billing;
  else if (actions & act_stop_model)
    out.down = down_cause::missing_model;

  if (out.down != down_cause::none)
    out.kind = outcome_kind::lane_down;
  else if (actions & act_retry)
    out.kind = outcome_kind::retry;
  else if (actions & act_spill)
    out.kind = outcome_kind::spill;
  else
    out.kind = outcome_kind::rejected;

  if (should_retry == "true" && (traits & trait_firm) == 0 && out.kind != outcome_kind::retry) {
    out.kind = outcome_kind::retry;
    out.counts_attempt = report.status != 429;  // else a wrong header would keep a prompt for ever
  } else if (should_retry == "false" && out.kind == outcome_kind::retry) {
    out.kind = outcome_kind::spill;
  }
}

void apply_transport_error(const call_result& call, outcome& out) {
  // A connect or TLS failure never wrote anything, whatever the call says.
  const bool unsent = call.error == transport_error::connect || call.error == transport_error::tls;
  const bool written = call.written && !unsent;
  for (const transport_rule& rule : transport_table) {
    if (rule.error != call.error || rule.written != written) continue;
    out.kind = rule.kind;
    out.unhealthy = (rule.actions & act_unhealthy) != 0;
    out.counts_attempt = (rule.traits & trait_counts) != 0;
    out.in_doubt = (rule.traits & trait_in_doubt) != 0;
    out.error_code = rule.code;
    out.error_message =
        one_line(call.detail.empty() ? rule.meaning : call.detail, error_message_bytes_max);
    return;
  }
  ensure(false, "a transport error without a rule");
}

}  // namespace spillway
