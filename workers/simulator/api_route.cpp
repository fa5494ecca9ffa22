#include "workers/simulator/api_route.hpp"

#include "workers/simulator/sim_config.hpp"

#include <algorithm>

namespace spillway::simulated {
namespace {

struct named_call {
  std::string_view path;
  call_kind kind;
};
constexpr named_call openai_calls[] = {{"chat/completions", call_kind::chat},
                                       {"responses", call_kind::responses},
                                       {"embeddings", call_kind::embeddings},
                                       {"completions", call_kind::completions}};

/// Takes `prefix` off the front of `text`.
bool skip(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes everything up to the next '/', and that, off the front of `text`.
std::string_view next_segment(std::string_view& text) {
  const auto end = std::min(text.find('/'), text.size());
  const auto segment = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return segment;
}

void serve(api_route& r, call_kind kind, std::string_view model = {}) {
  r.call = kind;
  r.model = model;
  r.problem = path_problem::none;
}

/// What OpenAI's API has below its version.
void find_openai_call(std::string_view rest, api_route& r) {
  if (rest == "models") {
    r.models = true;
    r.problem = path_problem::none;
  }
  for (const auto& c : openai_calls)
    if (rest == c.path) serve(r, c.kind);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// YYYY-MM-DD, with or without -preview.
bool looks_like_api_version(std::string_view text) {
  if (text.ends_with("-preview")) text.remove_suffix(8);
  if (text.size() != 10) return false;
  for (std::size_t i = 0; i < text.size(); ++i)
    if (i == 4 || i == 7 ? text[i] != '-' : !is_digit(text[i])) return false;
  return true;
}

bool is_known_version(const pool_spec& pool, std::string_view version) {
  if (pool.api_versions.empty()) return looks_like_api_version(version);
  return std::find(pool.api_versions.begin(), pool.api_versions.end(), version) !=
         pool.api_versions.end();
}

void route_azure(const pool_spec& pool, std::string_view path, std::string_view query,
                 api_route& r) {
  if (!skip(path, "/openai/")) return;
  if (skip(path, "v1/")) return find_openai_call(path, r);
  const auto version = query_value(query, "api-version");
  if (!version) return;  // Azure: 404, like any path it does not know
  if (skip(path, "deployments/")) {
    const auto deployment = next_segment(path);
    find_openai_call(path, r);
    if (r.call && *r.call != call_kind::responses)
      r.model = deployment;
    else
      r.problem = path_problem::unknown;
  } else if (path == "responses" || path == "models") {
    find_openai_call(path, r);
  }
  if (r.problem == path_problem::none && !is_known_version(pool, *version))
    r.problem = path_problem::api_version;
}

void route_invoke(std::string_view model, api_route& r) {
  if (model.find("titan-embed") != std::string_view::npos)
    serve(r, call_kind::titan, model);
  else if (model.find("openai.") != std::string_view::npos)
    serve(r, call_kind::chat, model);
  else if (model.find("anthropic.") != std::string_view::npos)
    serve(r, call_kind::messages, model);
  else
    r.problem = path_problem::unsupported_model;
}

void route_bedrock(const pool_spec& pool, std::string_view path, api_route& r) {
  r.below_openai = skip(path, "/openai/v1/");
  if (r.below_openai) return find_openai_call(path, r);
  if (pool.mantle) {
    if (skip(path, "/v1/")) find_openai_call(path, r);
    return;
  }
  if (!skip(path, "/model/")) return;
  const auto model = next_segment(path);
  if (model.empty()) return;
  if (path == "converse") serve(r, call_kind::converse, model);
  if (path == "invoke") route_invoke(model, r);
}

void route_vertex(const pool_spec& pool, std::string_view path, api_route& r) {
  if (!skip(path, "/v1/projects/") && !skip(path, "/v1beta1/projects/")) return;
  const auto project = next_segment(path);
  if (!skip(path, "locations/")) return;
  const auto location = next_segment(path);
  if (path == "endpoints/openapi/chat/completions") {
    serve(r, call_kind::chat);
    r.form = wire_form::google_list;
  } else if (path == "publishers/openai/v1/responses") {
    serve(r, call_kind::responses);
  } else if (skip(path, "publishers/")) {
    next_segment(path);
    if (!skip(path, "models/")) return;
    const auto colon = path.rfind(':');
    const auto verb = colon == std::string_view::npos ? "" : path.substr(colon + 1);
    if (verb == "generateContent") serve(r, call_kind::generate_content, path.substr(0, colon));
    if (verb == "predict") serve(r, call_kind::predict, path.substr(0, colon));
  }
  if (r.problem != path_problem::none) return;
  if (!pool.project.empty() && project != pool.project) r.problem = path_problem::wrong_project;
  if (!pool.location.empty() && location != pool.location) r.problem = path_problem::wrong_location;
}

}  // namespace

wire_form form_of(const pool_spec& pool) {
  switch (pool.provider) {
    case provider_kind::openai: return wire_form::openai;
    case provider_kind::azure_openai: return wire_form::azure;
    case provider_kind::openai_compatible: return wire_form::compatible;
    case provider_kind::bedrock: return pool.mantle ? wire_form::mantle : wire_form::aws;
    case provider_kind::vertex: return wire_form::google;
    case provider_kind::anthropic: return wire_form::anthropic;
  }
  return wire_form::openai;
}

std::optional<std::string_view> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const auto end = std::min(query.find('&'), query.size());
    const auto pair = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (pair.starts_with(name) && pair.size() > name.size() && pair[name.size()] == '=')
      return pair.substr(name.size() + 1);
  }
  return std::nullopt;
}

api_route route_of(const pool_spec& pool, std::string_view path, std::string_view query) {
  api_route r;
  r.form = form_of(pool);
  r.health = path == "/health";
  switch (pool.provider) {
    case provider_kind::openai:
    case provider_kind::openai_compatible:
      if (skip(path, "/v1/")) find_openai_call(path, r);
      break;
    case provider_kind::azure_openai: route_azure(pool, path, query, r); break;
    case provider_kind::bedrock: route_bedrock(pool, path, r); break;
    case provider_kind::vertex: route_vertex(pool, path, r); break;
    case provider_kind::anthropic:
      if (path == "/v1/messages") serve(r, call_kind::messages);
      if (path == "/v1/models") {
        r.models = true;
        r.problem = path_problem::none;
      }
      break;
  }
  return r;
}

}  // namespace spillway::simulated
