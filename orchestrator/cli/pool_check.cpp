#include "orchestrator/cli/pool_check.hpp"

#include "orchestrator/cli/format.hpp"
#include "orchestrator/runtime/json_string.hpp"
#include "workers/providers/headers.hpp"
#include "workers/providers/text.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <array>

namespace spillway {

namespace json = boost::json;

namespace {

using namespace std::chrono_literals;

constexpr duration skew_warned = 60s, skew_signed_max = 5min;
constexpr std::size_t named_models_max = 5;

std::string in_words(const outcome& out) {
  std::string text =
      out.status > 0 ? "HTTP " + std::to_string(out.status) : std::string("no answer");
  if (!out.error_code.empty()) text += " " + out.error_code;
  if (!out.error_message.empty()) text += ": " + out.error_message;
  return clipped(printable(text), 300);
}

std::string credentials_remedy(const pool_config& pool) {
  switch (pool.provider) {
    case provider_kind::bedrock:
      return "see that the identity is the right one, may invoke models there "
             "(bedrock:InvokeModel), and that region and signing name fit the "
             "host";
    case provider_kind::vertex:
      return "see that the account may call models there "
             "(aiplatform.endpoints.predict) and that "
             "project and location are right";
    case provider_kind::azure_openai: return "see that the key or the token is of this resource";
    case provider_kind::openai:
    case provider_kind::anthropic:
    case provider_kind::openai_compatible: break;
  }
  return "see that auth names the right key, and that it is of this endpoint";
}

check_finding down(const pool_config& pool, const std::string& lane, const outcome& out) {
  switch (out.down) {
    case down_cause::billing:
      return {lane, "credentials", check_level::problem, "billing: " + in_words(out),
              "add credit, or raise the spending limit of the account"};
    case down_cause::missing_model:
      return {lane, "model", check_level::problem, in_words(out),
              "see that the lane's `as` is what the provider calls the model "
              "there, and that the "
              "account has access to it"};
    case down_cause::auth:
    case down_cause::none: break;
  }
  return {lane, "credentials", check_level::problem, in_words(out), credentials_remedy(pool)};
}

/// A 404 that speaks of no model: nothing is at this path.
bool is_wrong_path(const outcome& out) {
  if (out.status != 404 || out.error_code == "ResourceNotFoundException") return false;
  const auto speaks_of = [&](std::string_view what) {
    return find_ignoring_case(out.error_code, what) != std::string_view::npos ||
           find_ignoring_case(out.error_message, what) != std::string_view::npos;
  };
  return !speaks_of("model") && !speaks_of("deployment");
}

check_finding wrong_path(const std::string& lane, const outcome& out) {
  return {lane, "endpoint", check_level::problem, "nothing is at this path: " + in_words(out),
          "check the endpoint's version prefix, as in .../openai/v1 (Azure) or .../v1; where the "
          "provider adds it, the endpoint is scheme and host only"};
}

bool refused_credentials(const outcome& out) {
  return out.stale_credentials || out.kind == outcome_kind::lane_down;
}

std::string some_of(const std::set<std::string>& ids) {
  std::string text;
  std::size_t n = 0;
  for (const auto& id : ids) {
    if (n++ == named_models_max) return text + ", … (" + std::to_string(ids.size()) + " in all)";
    text += (text.empty() ? "" : ", ") + printable(id);
  }
  return text;
}

check_finding model_in(const pool_config& pool, const lane_config& lane,
                       const std::set<std::string>& ids) {
  if (ids.contains(lane.as)) return {lane.name(), "model", check_level::ok, "listed", ""};
  if (pool.provider == provider_kind::azure_openai) {
    return {lane.name(), "model", check_level::warning,
            "not listed; Azure lists models, not deployments", "--send asks the deployment itself"};
  }
  return {lane.name(), "model", check_level::problem,
          "the provider does not list " + printable(lane.as) +
              (ids.empty() ? "; it lists none" : "; it lists " + some_of(ids)),
          "correct the lane's `as`, or have the account given access to the model"};
}

check_finding busy(const std::string& lane, const outcome& out) {
  if (out.quota_signal || out.halve_rate) {
    return {lane, "limits", check_level::warning, "the quota is used up now: " + in_words(out),
            "lower the lane's quota or raise headroom if other work shares the "
            "account"};
  }
  return {lane, "reachable", check_level::problem, in_words(out),
          "the provider is in trouble: try again later"};
}

}  // namespace

const char* name_of(check_level level) {
  switch (level) {
    case check_level::ok: return "ok";
    case check_level::warning: return "warning";
    case check_level::problem: return "problem";
  }
  return "unknown";
}

std::string models_path(std::string_view target) {
  // Azure's dated form: .../openai/deployments/NAME/chat/completions?api-version=DATE
  const auto query = target.substr(std::min(target.find('?'), target.size()));
  if (const auto at = target.find("/deployments/"); at != target.npos)
    return std::string(target.substr(0, at)) + "/models" + std::string(query);
  target.remove_suffix(query.size());
  for (const std::string_view end :
       {"/chat/completions", "/completions", "/responses", "/embeddings", "/messages"}) {
    if (target.ends_with(end))
      return std::string(target.substr(0, target.size() - end.size())) + "/models";
  }
  return {};
}

bool is_signed(const pool_config& pool) {
  return std::holds_alternative<aws_default_auth>(pool.auth) ||
         std::holds_alternative<aws_keys_auth>(pool.auth);
}

bool lists_models(const pool_config& pool) {
  return pool.provider != provider_kind::bedrock && pool.provider != provider_kind::vertex;
}

bool tells_health(const pool_config& pool) {
  return pool.provider == provider_kind::openai_compatible;
}

std::string health_path(std::string_view prefix) {
  const auto slash = prefix.rfind('/');
  const auto last = slash == prefix.npos ? std::string_view() : prefix.substr(slash + 1);
  const bool version =
      last.size() > 1 && last[0] == 'v' && last.find_first_not_of("0123456789", 1) == last.npos;
  if (version) prefix.remove_suffix(prefix.size() - slash);
  return std::string(prefix) + "/health";
}

std::string smallest_prompt(const std::string& model, endpoint_kind kind) {
  const auto quoted = json_string(model);
  std::string body;
  switch (kind) {
    case endpoint_kind::chat_completions:
      body = R"({"model":)" + quoted +
             R"(,"messages":[{"role":"user","content":"Say ok."}],"max_completion_tokens":16})";
      break;
    case endpoint_kind::responses:
      body = R"({"model":)" + quoted + R"(,"input":"Say ok.","max_output_tokens":16})";
      break;
    case endpoint_kind::embeddings: body = R"({"model":)" + quoted + R"(,"input":"ok"})"; break;
    case endpoint_kind::completions:
      body = R"({"model":)" + quoted + R"(,"prompt":"Say ok.","max_tokens":16})";
      break;
  }
  return R"({"custom_id":"check","method":"POST","url":")" + std::string(url_of(kind)) +
         R"(","body":)" + body + "}";
}

std::string empty_body(const lane_config& lane) {
  if (lane.surface == lane_surface::openai || lane.surface == lane_surface::responses)
    return R"({"model":)" + json_string(lane.as) + "}";
  return "{}";
}

check_finding reached(const pool_config& pool, const probe_answer& answer) {
  const auto fault = [&](std::string remedy) {
    return check_finding{"", "reachable", check_level::problem,
                         pool.endpoint + ": " + clipped(printable(answer.detail), 300),
                         std::move(remedy)};
  };
  switch (answer.fault) {
    case probe_fault::none:
      return {"", "reachable", check_level::ok, "answers within " + brief(answer.took), ""};
    case probe_fault::name: return fault("correct the endpoint, or this machine's name resolution");
    case probe_fault::connect:
      return fault(
          "see that the server runs and listens there, and that no "
          "firewall is between");
    case probe_fault::tls:
      return fault(
          "name the CA that signed its certificate with tls: { ca_file: "
          "... }, and see that "
          "the endpoint's host is the certificate's");
    case probe_fault::timed_out:
      return fault(
          "see that the endpoint is right and that no firewall swallows "
          "the connection");
    case probe_fault::other: break;
  }
  return fault("see that the endpoint speaks HTTP");
}

std::optional<check_finding> clock_of(const pool_config& pool, const http_response& response,
                                      time_point sent, time_point answered) {
  const auto date = parse_http_date(response.header("date"));
  if (!date) return std::nullopt;
  const auto middle = sent + (answered - sent) / 2;
  const auto ahead = middle - *date;
  const auto apart = ahead < 0s ? -ahead : ahead;
  const auto text = "this machine's clock is " + brief(apart) + (ahead < 0s ? " behind" : " ahead");
  // Dates come in whole seconds.
  if (apart <= skew_warned)
    return check_finding{"", "clock", check_level::ok,
                         "within " + brief(std::max<duration>(apart, 1s)), ""};
  const bool fatal = is_signed(pool) && apart > skew_signed_max;
  return check_finding{"", "clock", fatal ? check_level::problem : check_level::warning,
                       text + (fatal ? "; signatures are refused beyond 5 minutes" : ""),
                       "synchronise it (chrony, systemd-timesyncd)"};
}

std::optional<std::set<std::string>> read_model_list(std::string_view body) {
  json::error_code error;
  const auto value = json::parse(json::string_view(body.data(), body.size()), error);
  const auto* object = error ? nullptr : value.if_object();
  const auto* data = object ? object->if_contains("data") : nullptr;
  if (!data || !data->is_array()) return std::nullopt;
  std::set<std::string> ids;
  for (const auto& item : data->get_array()) {
    const auto* model = item.if_object();
    const auto* id = model ? model->if_contains("id") : nullptr;
    if (id && id->is_string()) ids.insert(std::string(id->get_string()));
  }
  return ids;
}

check_finding no_credentials(std::string_view why) {
  // The first row that fits counts; the words are those of workers/auth and of token endpoints.
  constexpr std::string_view no_identity =
      "this machine has no such service or does not reach it: run on a machine of that cloud, or "
      "let auth name a key instead";
  constexpr std::string_view unreachable =
      "see that this machine reaches the token endpoint (name, firewall, tls.ca_file), and that "
      "token_url is right if auth names one";
  constexpr std::string_view client_secret =
      "give the application's client secret as its value, not its id; create a new one if it has "
      "expired";
  struct row {
    std::string_view words, remedy;
  };
  constexpr std::array rows = {
      row{" answered 5", "the token endpoint is in trouble: try again later"},
      row{"AADSTS7000215", client_secret},
      row{"AADSTS7000222", client_secret},
      row{"invalid_client", client_secret},
      row{"unauthorized_client", "see that client_id is an application of this tenant"},
      row{"AADSTS90002", "see that tenant is the id of your directory"},
      row{"invalid_grant",
          "see that the service account's key still exists and that this "
          "machine's clock is right"},
      row{"AADSTS", "see that tenant, client_id and scope are right"},
      row{"managed identity:", no_identity},
      row{"the metadata server (", no_identity},
      row{"instance metadata gave none", no_identity},
      row{"container credentials:", no_identity},
      row{"managed identity's endpoint answered",
          "see that an identity is assigned to this machine, and that client_id names it"},
      row{"the metadata server answered", "see that a service account is attached to this machine"},
      row{"STS at ", "see that the role exists and that this identity may take it"},
      row{"connect to server", unreachable},
      row{"resolve host", unreachable},
      row{"imeout", unreachable},
      row{"SSL", unreachable},
      row{"being fetched", unreachable},
  };
  std::string_view remedy = "see that what auth names is there and readable for this user";
  const auto fits = [&](const row& one) { return why.find(one.words) != why.npos; };
  if (const auto found = std::find_if(rows.begin(), rows.end(), fits); found != rows.end())
    remedy = found->remedy;
  return {"", "credentials", check_level::problem, clipped(printable(why), 300),
          std::string(remedy)};
}

check_finding judge_health(const probe_answer& answer) {
  const auto finding = [](check_level level, std::string text, std::string remedy) {
    return check_finding{"", "health", level, std::move(text), std::move(remedy)};
  };
  if (answer.fault != probe_fault::none)
    return finding(check_level::warning, "not told: " + clipped(printable(answer.detail), 300),
                   "see the server's log");
  const int status = answer.response.status;
  const auto said = "HTTP " + std::to_string(status);
  if (status >= 200 && status < 300) return finding(check_level::ok, "healthy", "");
  if (status == 401 || status == 403)
    return finding(check_level::ok, "the health page is not for us (" + said + ")", "");
  if (status < 500 || status == 501)
    return finding(check_level::ok, "the server has no health page (" + said + ")", "");
  if (status == 503)
    return finding(check_level::problem, "loading its model, overloaded or broken (" + said + ")",
                   "wait until its log says that the model is loaded; if it is, lower the lanes' "
                   "concurrency or free the machine, and restart it if its engine has died");
  return finding(check_level::problem, "unwell (" + said + ")", "see the server's log");
}

check_findings judge_list(const pool_config& pool, const http_response& response,
                          const outcome& as_call) {
  if (response.status == 200) {
    check_findings found{{"", "credentials", check_level::ok, "accepted", ""}};
    if (std::holds_alternative<std::monostate>(pool.auth)) found[0].text = "none needed";
    const auto ids = read_model_list(response.body);
    for (const auto& lane : pool.lanes) {
      if (ids)
        found.push_back(model_in(pool, lane, *ids));
      else
        found.push_back({lane.name(), "model", check_level::warning,
                         "what the provider lists can't be read", "--send asks the model itself"});
    }
    return found;
  }
  // Servers of one's own may list nothing; a provider that does has the list at its right path.
  if (response.status == 404 && pool.provider != provider_kind::openai_compatible)
    return {wrong_path("", as_call)};
  if (response.status == 404 || response.status == 405 || response.status == 501) {
    return {{"", "model", check_level::warning,
             "the provider lists no models (HTTP " + std::to_string(response.status) +
                 "); neither credentials nor models are proved",
             "see that the endpoint has its version prefix (.../v1); --send "
             "asks each lane's model"}};
  }
  if (response.status == 401 || response.status == 403) {
    auto out = as_call;
    out.down = out.down == down_cause::billing ? out.down : down_cause::auth;
    return {down(pool, "", out)};
  }
  if (refused_credentials(as_call)) return {down(pool, "", as_call)};
  return {busy("", as_call)};
}

check_findings judge_refusal(const pool_config& pool, const lane_config& lane, const outcome& out) {
  if (is_wrong_path(out)) return {wrong_path(lane.name(), out)};
  if (refused_credentials(out)) return {down(pool, lane.name(), out)};
  if (out.kind == outcome_kind::rejected || out.kind == outcome_kind::spill) {
    return {{lane.name(), "credentials", check_level::ok, "accepted", ""},
            {lane.name(), "model", check_level::warning,
             "not proved: the empty call was refused for its content", "run with --send"}};
  }
  if (out.kind == outcome_kind::answered) {
    return {{lane.name(), "credentials", check_level::ok, "accepted", ""},
            {lane.name(), "model", check_level::ok, "answers", ""}};
  }
  return {busy(lane.name(), out)};
}

check_findings judge_prompt(const pool_config& pool, const lane_config& lane, const outcome& out) {
  if (out.kind == outcome_kind::answered) {
    std::string text = "answered";
    if (out.usage.known) {
      text += ": " + grouped(out.usage.input.count()) + " tokens in, " +
              grouped(out.usage.output.count()) + " out";
    }
    return {{lane.name(), "prompt", check_level::ok, std::move(text), ""}};
  }
  if (is_wrong_path(out)) return {wrong_path(lane.name(), out)};
  if (refused_credentials(out)) return {down(pool, lane.name(), out)};
  if (out.kind == outcome_kind::rejected || out.kind == outcome_kind::spill) {
    return {{lane.name(), "prompt", check_level::problem, in_words(out),
             "see that the lane's surface fits the model"}};
  }
  return {busy(lane.name(), out)};
}

std::optional<check_finding> limits_of(const lane_config& lane, const outcome& out) {
  if (!out.requests.limit && !out.tokens_rate.limit) return std::nullopt;
  std::string text, above;
  const auto compare = [&](const char* what, std::optional<std::int64_t> limit,
                           std::optional<std::int64_t> configured) {
    if (!limit) return;
    text += (text.empty() ? "" : ", ") + grouped(*limit) + " " + what;
    if (configured && *configured > *limit)
      above += std::string(above.empty() ? "" : ", ") + what + " " + grouped(*configured);
  };
  compare("requests/min", out.requests.limit, lane.quota.rpm);
  compare("tokens/min", out.tokens_rate.limit,
          lane.quota.tpm ? std::optional(lane.quota.tpm->count()) : std::nullopt);
  if (above.empty()) return check_finding{lane.name(), "limits", check_level::ok, text, ""};
  return check_finding{lane.name(), "limits", check_level::warning, text + "; configured: " + above,
                       "lower the lane's quota to the limit"};
}

}  // namespace spillway
