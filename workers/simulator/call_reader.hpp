// Reads from a request body what the simulator acts on: the model, how long the prompt is, how
// long the answer may be, which prompt it is, and what the answer must be.
#pragma once

#include "workers/simulator/api_route.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::simulated {

struct embedded_text;

struct call_facts {
  call_kind kind = call_kind::chat;
  std::string_view model;             ///< valid until the reader reads again
  std::string_view marker;            ///< X of the first [[id:X]], as it stands in the JSON text
  std::uint64_t id = 0;               ///< hash of the marker, or else of the messages or input
  std::int64_t input_tokens = 0;      ///< text bytes / 4, some more for each message and image
  std::int64_t max_output = 0;        ///< what the prompt allows one choice; 0 = it does not say
  std::int64_t choices = 1;           ///< n
  std::int64_t dimensions = 0;        ///< of embeddings; 0 = it does not say
  bool base64 = false;                ///< encoding_format
  std::vector<std::uint64_t> inputs;  ///< a hash for each text to embed
  std::vector<std::int64_t> input_sizes;  ///< and its tokens
  std::string_view tool;                  ///< the tool that must be called; empty: none
  std::string_view arguments;             ///< a JSON object for it
  std::string_view service_tier;          ///< of OpenAI's forms; empty: not asked for
  std::string_view json_text;  ///< the answer of a prompt that asks for JSON; empty: plain text
};

/// Why a body is refused with 400.
struct bad_call {
  std::string message;
  std::string param;  ///< empty: none
};

/// Reuses its buffers from call to call; one per thread.
class call_reader {
 public:
  /// Bytes that must be readable behind the body.
  static constexpr std::size_t padding = 64;

  call_reader();
  ~call_reader();
  call_reader(const call_reader&) = delete;
  call_reader& operator=(const call_reader&) = delete;

  /// `path_model`: the model where the path names it, as it stands there (percent-encoded). The
  /// facts stay valid as long as body and path and until the next call; nothing = `problem()`.
  const call_facts* read(call_kind, std::string_view body, std::string_view path_model = {});
  [[nodiscard]] const bad_call& problem() const { return problem_; }

 private:
  struct parser;
  bool answer_wishes();

  std::unique_ptr<parser> parser_;
  call_facts facts_;
  bad_call problem_;
};

}  // namespace spillway::simulated
