// Which operation of which API a path names, for each provider. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace spillway::simulated {

struct pool_spec;

enum class call_kind : std::uint8_t {
  chat,  ///< OpenAI's forms
  responses,
  embeddings,
  completions,
  converse,          ///< Bedrock
  titan,             ///< Bedrock InvokeModel, Titan embeddings
  generate_content,  ///< Vertex
  predict,           ///< Vertex, embeddings
  messages,          ///< Anthropic
};

[[nodiscard]] constexpr bool embeds(call_kind kind) {
  return kind == call_kind::embeddings || kind == call_kind::titan || kind == call_kind::predict;
}

/// The shape of error bodies, and with it of headers.
enum class wire_form : std::uint8_t {
  openai,
  azure,
  compatible,  ///< vLLM's
  aws,
  mantle,  ///< AWS's OpenAI-compatible host
  google,
  google_list,  ///< in a list, as the OpenAI-compatible endpoint does
  anthropic,
};

/// Why a path that is one of the API's is refused nevertheless.
enum class path_problem : std::uint8_t {
  none,
  unknown,            ///< no such path
  api_version,        ///< Azure: not one that is known
  wrong_project,      ///< Vertex
  wrong_location,     ///< Vertex
  unsupported_model,  ///< Bedrock: InvokeModel of a model the simulator has no body form for
};

struct api_route {
  wire_form form = wire_form::openai;
  std::optional<call_kind> call;
  std::string_view model;  ///< where the path names it: percent-encoded, as it stands there
  path_problem problem = path_problem::unknown;
  bool below_openai = false;  ///< Bedrock: below /openai/v1
  bool models = false;        ///< the list of models
  bool health = false;
};

/// `path` is what follows "/NAME", `query` what follows "?".
[[nodiscard]] api_route route_of(const pool_spec&, std::string_view path, std::string_view query);

/// The form of errors that come before the path is known.
[[nodiscard]] wire_form form_of(const pool_spec&);

/// Value of a parameter as it stands in the query; nothing = absent.
[[nodiscard]] std::optional<std::string_view> query_value(std::string_view query,
                                                          std::string_view name);

}  // namespace spillway::simulated
