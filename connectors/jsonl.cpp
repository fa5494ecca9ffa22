#include "connectors/jsonl.hpp"

#include <simdjson.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstring>

namespace spillway {
namespace {

namespace dom = simdjson::dom;
namespace ondemand = simdjson::ondemand;

constexpr std::int64_t tokens_max = 1'000'000'000;
constexpr std::int64_t choices_max = 1'000;
constexpr std::int64_t answers_max = 100'000;  // of one prompt: those of a list, times n

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r'; }

std::string_view trimmed(std::string_view token) {
  while (!token.empty() && (is_space(token.back()) || token.back() == '\n')) token.remove_suffix(1);
  return token;
}

/// A field's value, and whether the object gives the key more than once.
struct field_value {
  dom::element value;
  int times = 0;
};

void note(field_value& f, dom::element value) {
  f.value = value;
  ++f.times;
}

/// A whole number in [1, max]; null and absent count as absent (0). False when it is anything else.
bool whole_number(const field_value& f, std::int64_t max, std::int64_t& out) {
  out = 0;
  if (f.times == 0 || f.value.is_null()) return true;
  std::int64_t n = 0;
  if (f.value.get_int64().get(n) != simdjson::SUCCESS || n < 1 || n > max) return false;
  out = n;
  return true;
}

std::int64_t count_of(std::string_view text, std::string_view word) {
  std::int64_t n = 0;
  for (auto at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

struct top_fields {
  field_value custom_id, method, url, body;
};
struct body_fields {
  field_value model, stream, background, max_tokens, max_completion_tokens, max_output_tokens, n,
      best_of, prompt;
};

top_fields read_top(dom::object line) {
  top_fields f;
  for (const auto [key, value] : line) {
    if (key == "custom_id")
      note(f.custom_id, value);
    else if (key == "method")
      note(f.method, value);
    else if (key == "url")
      note(f.url, value);
    else if (key == "body")
      note(f.body, value);
  }
  return f;
}

body_fields read_body(dom::object body) {
  body_fields f;
  for (const auto [key, value] : body) {
    if (key == "model")
      note(f.model, value);
    else if (key == "stream")
      note(f.stream, value);
    else if (key == "background")
      note(f.background, value);
    else if (key == "prompt")
      note(f.prompt, value);
    else if (key == "max_tokens")
      note(f.max_tokens, value);
    else if (key == "max_completion_tokens")
      note(f.max_completion_tokens, value);
    else if (key == "max_output_tokens")
      note(f.max_output_tokens, value);
    else if (key == "n")
      note(f.n, value);
    else if (key == "best_of")
      note(f.best_of, value);
  }
  return f;
}

bool fail(parsed_line& out, std::string code, std::string message) {
  out.code = std::move(code);
  out.message = std::move(message);
  return false;
}

bool check_top(const top_fields& f, parsed_line& out) {
  std::string_view text;
  if (f.custom_id.times == 0 || f.custom_id.value.is_null())
    return fail(out, "missing_custom_id", "custom_id is missing; expected a non-empty string");
  if (f.custom_id.value.get_string().get(text) != simdjson::SUCCESS)
    return fail(out, "invalid_custom_id", "custom_id is not a string");
  out.custom_id = text;
  if (text.empty()) return fail(out, "empty_custom_id", "custom_id is empty");
  for (const auto* field : {&f.custom_id, &f.method, &f.url, &f.body})
    if (field->times > 1)
      return fail(out, "invalid_json", "custom_id, method, url or body is given more than once");
  if (f.method.times == 0 || f.method.value.get_string().get(text) != simdjson::SUCCESS ||
      text != "POST")
    return fail(out, "invalid_method", "method must be \"POST\"");
  bool known = false;
  if (f.url.times > 0 && f.url.value.get_string().get(text) == simdjson::SUCCESS)
    for (std::size_t e = 0; e < endpoint_kinds; ++e)
      if (text == url_of(static_cast<endpoint_kind>(e))) {
        out.value.endpoint = static_cast<endpoint_kind>(e);
        known = true;
      }
  if (!known)
    return fail(out, "invalid_url",
                "url must be \"/v1/chat/completions\", \"/v1/responses\", \"/v1/embeddings\" or "
                "\"/v1/completions\"");
  if (f.body.times == 0 || !f.body.value.is_object())
    return fail(out, "missing_body", "body is missing or not an object");
  return true;
}

/// The keys by which an endpoint limits an answer. Another endpoint's limits nothing there.
std::vector<const field_value*> limits_of(const body_fields& f, endpoint_kind endpoint) {
  switch (endpoint) {
    case endpoint_kind::chat_completions: return {&f.max_tokens, &f.max_completion_tokens};
    case endpoint_kind::completions: return {&f.max_tokens};
    case endpoint_kind::responses: return {&f.max_output_tokens};
    case endpoint_kind::embeddings: break;
  }
  return {};
}

/// How many prompts /v1/completions is given at once, each answered on its own: texts, or lists of
/// token ids. A list of token ids alone is one.
std::int64_t prompts_in(const field_value& f) {
  dom::array list;
  if (f.times == 0 || f.value.get_array().get(list) != simdjson::SUCCESS) return 1;
  std::int64_t n = 0;
  bool several = false;
  for (const dom::element item : list) {
    several = several || item.is_string() || item.is_array();
    ++n;
  }
  return several ? n : 1;
}

/// A setting that must not be on where nobody waits for events or asks again.
bool is_off(const field_value& f) {
  bool on = false;
  return f.times == 0 || f.value.is_null() ||
         (f.value.get_bool().get(on) == simdjson::SUCCESS && !on);
}

bool check_once(const body_fields& f, parsed_line& out) {
  std::vector<const field_value*> fields = {&f.model, &f.stream, &f.n, &f.best_of};
  const auto limits = limits_of(f, out.value.endpoint);
  fields.insert(fields.end(), limits.begin(), limits.end());
  if (out.value.endpoint == endpoint_kind::completions) fields.push_back(&f.prompt);
  if (out.value.endpoint == endpoint_kind::responses) fields.push_back(&f.background);
  if (std::none_of(fields.begin(), fields.end(),
                   [](const auto* field) { return field->times > 1; }))
    return true;
  return fail(out, "invalid_json",
              "model, stream, background, prompt, n or an output limit is given more than once");
}

bool check_body(const body_fields& f, parsed_line& out) {
  std::string_view model;
  if (f.model.times == 0 || f.model.value.get_string().get(model) != simdjson::SUCCESS ||
      model.empty())
    return fail(out, "missing_model", "body.model is missing or not a non-empty string");
  if (!check_once(f, out)) return false;
  out.model = model;
  if (!is_off(f.stream))
    return fail(out, "stream_not_supported", "body.stream must be false or absent in a batch");
  if (out.value.endpoint == endpoint_kind::responses && !is_off(f.background))
    return fail(out, "background_not_supported",
                "body.background must be false or absent in a batch");
  std::int64_t most = 0, n = 0, best_of = 0;
  for (const auto* field : limits_of(f, out.value.endpoint)) {
    std::int64_t value = 0;
    if (!whole_number(*field, tokens_max, value))
      return fail(out, "invalid_max_tokens",
                  "the body's output limit must be a whole number from 1 to 1000000000");
    most = std::max(most, value);
  }
  if (!whole_number(f.n, choices_max, n) || !whole_number(f.best_of, choices_max, best_of))
    return fail(out, "invalid_n", "body.n and body.best_of must be whole numbers from 1 to 1000");
  // Completions are billed for all they made to choose the best from.
  out.value.choices = std::max({std::int64_t{1}, n, best_of});
  if (out.value.endpoint == endpoint_kind::completions)
    out.value.choices *= std::max(std::int64_t{1}, prompts_in(f.prompt));
  if (out.value.choices > answers_max)
    return fail(out, "invalid_n",
                "body.prompt, times body.n or body.best_of, asks for more than 100000 answers");
  out.value.max_output = tokens(std::min(most * out.value.choices, choices_max * tokens_max));
  return true;
}

/// What is wrong with a line the reader refuses. Legal JSON may be beyond what it holds.
std::string problem_of(simdjson::error_code error) {
  if (error == simdjson::NUMBER_ERROR)
    return "a number is malformed or out of range: whole numbers must fit into 64 bits";
  if (error == simdjson::STRING_ERROR)
    return "a string has an invalid escape: \\ud800 to \\udfff stand in pairs only";
  return std::string("not valid JSON: ") + simdjson::error_message(error);
}

text_span span_of(std::string_view line, std::string_view part) {
  return {static_cast<std::uint32_t>(part.data() - line.data()),
          static_cast<std::uint32_t>(part.size())};
}

}  // namespace

struct line_parser::parsers {
  dom::parser dom;
  ondemand::parser spans;
};

line_parser::line_parser() : parsers_(std::make_unique<parsers>()) {}
line_parser::~line_parser() = default;
line_parser::line_parser(line_parser&&) noexcept = default;
line_parser& line_parser::operator=(line_parser&&) noexcept = default;

parsed_line line_parser::parse(std::string_view line) {
  parsed_line out;
  out.custom_id_token = "null";
  dom::element root;
  const auto error = parsers_->dom.parse(line.data(), line.size(), false).get(root);
  if (error != simdjson::SUCCESS) {
    fail(out, "invalid_json", problem_of(error));
    return out;
  }
  dom::object object;
  if (root.get_object().get(object) != simdjson::SUCCESS) {
    fail(out, "not_an_object", "the line is JSON but not an object");
    return out;
  }
  const auto fields = read_top(object);
  bool good = check_top(fields, out);
  if (good) {
    dom::object body;
    good = fields.body.value.get_object().get(body) == simdjson::SUCCESS &&
           check_body(read_body(body), out);
  }
  if (out.custom_id.empty()) return out;

  // A second walk finds where the parts stand in the text; the first one made sure it is valid.
  ondemand::document doc;
  ondemand::object top;
  if (parsers_->spans.iterate(line.data(), line.size(), line.size() + simdjson::SIMDJSON_PADDING)
              .get(doc) != simdjson::SUCCESS ||
      doc.get_object().get(top) != simdjson::SUCCESS) {
    if (good) fail(out, "invalid_json", "not valid JSON");
    return out;
  }
  for (auto field : top) {
    const std::string_view key = field.unescaped_key().value();
    if (key == "custom_id") {
      const auto token = trimmed(field.value().raw_json_token());
      out.custom_id_token = token;
      out.value.custom_id = span_of(line, token);
    } else if (good && key == "body") {
      ondemand::object body = field.value().get_object().value();
      out.value.body = span_of(line, trimmed(body.raw_json().value()));
      body.reset();
      for (auto part : body)
        if (part.unescaped_key().value() == "model")
          out.value.model = span_of(line, trimmed(part.value().raw_json_token()));
    }
  }
  const auto text = line.substr(out.value.body.offset, out.value.body.length);
  for (const auto word : {"\"image_url\"", "\"input_image\"", "\"input_file\"", "\"file\""})
    out.value.images += count_of(text, word);
  return out;
}

std::vector<line_view> split_lines(std::string_view bytes, std::uint64_t first_line) {
  std::vector<line_view> lines;
  std::size_t at = 0;
  for (std::uint64_t number = first_line; at < bytes.size(); ++number) {
    const void* feed = std::memchr(bytes.data() + at, '\n', bytes.size() - at);
    const std::size_t end =
        feed ? static_cast<std::size_t>(static_cast<const char*>(feed) - bytes.data())
             : bytes.size();
    std::size_t stop = end;
    if (stop > at && bytes[stop - 1] == '\r') --stop;
    if (!std::all_of(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                     bytes.begin() + static_cast<std::ptrdiff_t>(stop), is_space))
      lines.push_back({at, stop - at, number});
    at = end + 1;
  }
  return lines;
}

std::optional<std::string> unquoted(std::string_view token) {
  if (token.size() <= 2 || token.front() != '"' || token.back() != '"') return std::nullopt;
  if (token.find('\\') == std::string_view::npos)
    return std::string(token.substr(1, token.size() - 2));
  dom::parser parser;
  std::string_view text;
  if (parser.parse(token).get_string().get(text) != simdjson::SUCCESS) return std::nullopt;
  return std::string(text);
}

std::uint64_t hash_custom_id(std::string_view id) {
  const std::uint64_t h = XXH3_64bits(id.data(), id.size());
  return h == 0 ? 1 : h;
}

}  // namespace spillway
