#include "workers/simulator/call_reader.hpp"

#include "workers/simulator/hash.hpp"

#include <simdjson.h>

#include <algorithm>

namespace spillway::simulated {
namespace {

namespace json = simdjson::ondemand;

constexpr std::int64_t tokens_per_message = 4;
constexpr std::int64_t tokens_per_image = 300;
constexpr std::size_t marker_bytes_max = 256;
constexpr int depth_max = 64;
constexpr std::int64_t output_tokens_max = 1'000'000;

/// Adds up length and hash of everything that a prompt says.
struct text_sum {
  std::int64_t bytes = 0;   ///< of text
  std::int64_t tokens = 0;  ///< counted otherwise: token ids, messages, images
  std::uint64_t hash = 0;

  void text(std::string_view s) {
    bytes += static_cast<std::int64_t>(s.size());
    hash = hash_bytes(s, hash);
  }
};

/// False also for what is no value at all.
bool is_null(json::value& value) {
  bool null = false;
  return !value.is_null().get(null) && null;
}

bool holds_media(std::string_view key) {
  return key == "url" || key == "image_url" || key == "data" || key == "file_data";
}
bool is_label(std::string_view key) { return key == "type" || key == "role" || key == "id"; }

bool walk(json::value value, std::string_view key, int depth, text_sum& sum);

bool walk_object(json::value& value, int depth, text_sum& sum) {
  json::object object;
  if (value.get_object().get(object)) return false;
  if (depth == 1) sum.tokens += tokens_per_message;
  for (auto field : object) {
    std::string_view key;
    json::value inner;
    if (field.unescaped_key().get(key) || field.value().get(inner)) return false;
    if (!walk(inner, key, depth + 1, sum)) return false;
  }
  return true;
}

bool walk_array(json::value& value, std::string_view key, int depth, text_sum& sum) {
  json::array array;
  if (value.get_array().get(array)) return false;
  for (auto element : array) {
    json::value inner;
    if (element.get(inner) || !walk(inner, key, depth + 1, sum)) return false;
  }
  return true;
}

/// Depth 0 is the value of "messages" or "input", depth 1 one message.
bool walk(json::value value, std::string_view key, int depth, text_sum& sum) {
  json::json_type type;
  if (depth > depth_max || value.type().get(type)) return false;
  switch (type) {
    case json::json_type::object: return walk_object(value, depth, sum);
    case json::json_type::array: return walk_array(value, key, depth, sum);
    case json::json_type::string: {
      std::string_view text;
      if (value.get_string().get(text)) return false;
      if (is_label(key)) {
        sum.hash = hash_bytes(text, sum.hash);
      } else if (holds_media(key)) {
        sum.hash = hash_bytes(text, sum.hash);
        sum.tokens += tokens_per_image;
      } else {
        sum.text(text);
      }
      return true;
    }
    case json::json_type::number: {
      double number = 0;
      if (value.get_double().get(number)) return false;
      sum.hash = mix(sum.hash, static_cast<std::uint64_t>(static_cast<std::int64_t>(number)));
      ++sum.tokens;
      return true;
    }
    case json::json_type::boolean: {
      bool ignored = false;
      return !value.get_bool().get(ignored);
    }
    case json::json_type::null: return is_null(value);
  }
  return false;
}

/// The input of an embeddings call: one text, one list of token ids, or a list of either.
bool walk_inputs(json::value value, text_sum& sum, std::vector<std::uint64_t>& inputs) {
  json::json_type type;
  if (value.type().get(type)) return false;
  if (type != json::json_type::array) {
    if (!walk(value, "", 0, sum)) return false;
    inputs.push_back(sum.hash);
    return true;
  }
  json::array array;
  if (value.get_array().get(array)) return false;
  bool token_ids = false;
  for (auto element : array) {
    json::value inner;
    json::json_type inner_type;
    if (element.get(inner) || inner.type().get(inner_type)) return false;
    text_sum one;
    if (!walk(inner, "", 0, one)) return false;
    sum.bytes += one.bytes;
    sum.tokens += one.tokens;
    sum.hash = mix(sum.hash, one.hash);
    if (inner_type == json::json_type::number)
      token_ids = true;
    else
      inputs.push_back(one.hash);
  }
  if (token_ids) inputs.assign(1, sum.hash);
  return true;
}

std::string_view find_marker(std::string_view body) {
  constexpr std::string_view opening = "[[id:";
  const auto at = body.find(opening);
  if (at == std::string_view::npos) return {};
  const auto rest = body.substr(at + opening.size(), marker_bytes_max);
  const auto marker = rest.substr(0, std::min(rest.find("]]"), rest.size()));
  const bool complete = marker.size() < rest.size();
  if (!complete || marker.find_first_of("\"\\") != std::string_view::npos) return {};
  return marker;
}

bool read_count(json::value value, std::int64_t& out) {
  if (is_null(value)) return true;
  std::int64_t n = 0;
  if (value.get_int64().get(n) || n < 0) return false;
  out = std::min(n, output_tokens_max);
  return true;
}

/// One pass over the outermost object.
class body_pass {
 public:
  body_pass(call_facts& facts, bad_call& problem) : facts_(facts), problem_(problem) {}

  bool run(json::document& document) {
    json::object object;
    if (document.get_object().get(object)) return fail("", not_json);
    for (auto field : object) {
      std::string_view key;
      json::value value;
      if (field.unescaped_key().get(key) || field.value().get(value)) return fail("", not_json);
      if (!take(key, value)) return false;
    }
    return check();
  }

 private:
  static constexpr const char* not_json =
      "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
      "your HTTP library correctly. The OpenAI API expects a JSON payload, but what was sent was "
      "not valid JSON.)";

  bool fail(std::string param, std::string message) {
    problem_ = {std::move(message), std::move(param)};
    return false;
  }
  bool invalid(std::string_view key) {
    return fail(std::string(key), "Invalid value for '" + std::string(key) + "'.");
  }

  bool take(std::string_view key, json::value& value) {
    const bool is_text = key == (facts_.kind == call_kind::chat ? "messages" : "input");
    if (is_text) {
      has_text_ = true;
      const bool read = facts_.kind == call_kind::embeddings
                            ? walk_inputs(value, sum_, facts_.inputs)
                            : walk(value, "", 0, sum_);
      return read || invalid(key);
    }
    if (key == "model") return !value.get_string().get(facts_.model) || invalid(key);
    if (key == "instructions") return walk(value, "", 0, sum_) || invalid(key);
    if (key == "max_tokens" || key == "max_completion_tokens" || key == "max_output_tokens")
      return read_count(value, facts_.max_output) || invalid(key);
    if (key == "n") return read_count(value, facts_.choices) || invalid(key);
    if (key == "dimensions") return read_count(value, facts_.dimensions) || invalid(key);
    if (key == "encoding_format") return take_format(value) || invalid(key);
    if (key == "stream") return take_stream(value);
    return true;  // skipped by the iteration
  }
  bool take_format(json::value& value) {
    std::string_view format;
    if (value.get_string().get(format)) return false;
    facts_.base64 = format == "base64";
    return facts_.base64 || format == "float";
  }
  bool take_stream(json::value& value) {
    if (is_null(value)) return true;
    bool stream = false;
    if (value.get_bool().get(stream)) return invalid("stream");
    return !stream || fail("stream", "The simulator does not stream; send stream: false.");
  }

  bool check() {
    if (facts_.model.empty()) return fail("model", "you must provide a model parameter");
    const std::string text = facts_.kind == call_kind::chat ? "messages" : "input";
    if (!has_text_) return fail(text, "Missing required parameter: '" + text + "'.");
    if (facts_.choices < 1 || facts_.choices > 128) return invalid("n");
    facts_.input_tokens = std::max<std::int64_t>(1, (sum_.bytes + 3) / 4 + sum_.tokens);
    facts_.id = facts_.marker.empty() ? sum_.hash : hash_bytes(facts_.marker);
    return true;
  }

  call_facts& facts_;
  bad_call& problem_;
  text_sum sum_;
  bool has_text_ = false;
};

}  // namespace

struct call_reader::parser {
  json::parser json;
};

call_reader::call_reader() : parser_(std::make_unique<parser>()) {
  static_assert(padding >= simdjson::SIMDJSON_PADDING);
}
call_reader::~call_reader() = default;

const call_facts* call_reader::read(call_kind kind, std::string_view body) {
  std::vector<std::uint64_t> inputs = std::move(facts_.inputs);
  inputs.clear();
  facts_ = call_facts{};
  facts_.inputs = std::move(inputs);
  facts_.kind = kind;
  facts_.marker = find_marker(body);
  json::document document;
  const simdjson::padded_string_view padded(body.data(), body.size(), body.size() + padding);
  if (parser_->json.iterate(padded).get(document)) {
    problem_ = {"We could not parse the JSON body of your request.", ""};
    return nullptr;
  }
  return body_pass(facts_, problem_).run(document) ? &facts_ : nullptr;
}

}  // namespace spillway::simulated
