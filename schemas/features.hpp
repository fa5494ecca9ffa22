// What a prompt asks of a lane beyond plain text in and out, so that it reaches only lanes that can
// give it.
#pragma once

#include <compare>
#include <cstdint>
#include <string_view>
#include <vector>

namespace spillway {

/// Bit numbers; part of no stored format.
enum class prompt_feature : std::uint8_t {
  tools,
  tool_choice,          ///< "required", or a named tool
  parallel_tool_calls,  ///< set to false
  strict_tools,         ///< a tool with `strict` set to true
  image_data,           ///< as a data URL
  image_url,            ///< remote: never fetched by us
  image_detail,         ///< how closely to look, where that is said
  audio,                ///< input or output
  file_input,
  json_object,
  json_schema,
  open_schema,         ///< a schema to answer or call by, with room for properties it does not name
  schema_constraints,  ///< one that says more than types: ranges, lengths, patterns
  seed,
  wide_seed,  ///< one beyond 32 bits
  choices,    ///< n above 1
  stop,
  blank_stop,  ///< of nothing but white space
  temperature,
  temperature_above_1,
  top_p,
  penalties,  ///< presence or frequency, not 0
  logprobs,
  logit_bias,
  reasoning_effort,  ///< other than "none"
  reasoning_off,     ///< "none": thinking is declined
  verbosity,         ///< other than "medium"
  embedding_tokens,  ///< input as token ids
  embedding_many,    ///< several inputs in one prompt
  dimensions,
  base64_vectors,
  service_tier,
  // Pairs that some models refuse although they take either.
  sampling_with_reasoning,  ///< temperature, top_p, penalties or logprobs, and thinking not off
  sampling_with_effort,     ///< temperature or top_p, and thinking as hard as said
  temperature_with_top_p,   ///< a temperature up to 1
  tools_with_reasoning,     ///< tools, and thinking not off
  forced_with_effort,       ///< a tool has to be called after thinking as hard as said
  effort_without_room,      ///< thinking is asked for in an answer too short for any
  tools_with_json_object,
  tools_with_json_schema,
  assistant_first,  ///< the conversation does not begin with the user
  assistant_last,   ///< it does not end with the user or a tool: the answer has to go on from there
  unknown_parameter,  ///< a key this version does not know, in the body or inside a message
  unknown_content,    ///< a message, part or tool this version can't read: only for lanes that pass
                      ///< bodies on as they are
  count,
};

/// A set of them.
class prompt_features {
 public:
  constexpr prompt_features() = default;
  constexpr prompt_features(prompt_feature f)  // NOLINT(google-explicit-constructor)
      : bits_(std::uint64_t{1} << static_cast<unsigned>(f)) {}

  [[nodiscard]] constexpr bool empty() const { return bits_ == 0; }
  [[nodiscard]] constexpr bool has(prompt_feature f) const {
    return (bits_ & prompt_features(f).bits_) != 0;
  }
  [[nodiscard]] constexpr prompt_features without(prompt_features other) const {
    return from_bits(bits_ & ~other.bits_);
  }
  friend constexpr prompt_features operator|(prompt_features a, prompt_features b) {
    return from_bits(a.bits_ | b.bits_);
  }
  friend constexpr prompt_features operator&(prompt_features a, prompt_features b) {
    return from_bits(a.bits_ & b.bits_);
  }
  constexpr prompt_features& operator|=(prompt_features other) { return *this = *this | other; }
  friend constexpr auto operator<=>(prompt_features, prompt_features) = default;

 private:
  static constexpr prompt_features from_bits(std::uint64_t bits) {
    prompt_features made;
    made.bits_ = bits;
    return made;
  }
  std::uint64_t bits_ = 0;
};

constexpr prompt_features operator|(prompt_feature a, prompt_feature b) {
  return prompt_features(a) | prompt_features(b);
}

/// Those that may be left out of a request where the job's policy says so: they change how an
/// answer is made, not what is asked. (Who sets `json_object` has to ask for JSON in words too.)
inline constexpr prompt_features droppable_features =
    prompt_feature::json_object | prompt_feature::tools_with_json_object |
    prompt_feature::parallel_tool_calls | prompt_feature::strict_tools |
    prompt_feature::image_detail | prompt_feature::schema_constraints | prompt_feature::seed |
    prompt_feature::wide_seed | prompt_feature::stop | prompt_feature::blank_stop |
    prompt_feature::temperature | prompt_feature::temperature_above_1 | prompt_feature::top_p |
    prompt_feature::penalties | prompt_feature::logprobs | prompt_feature::logit_bias |
    prompt_feature::reasoning_effort | prompt_feature::reasoning_off | prompt_feature::verbosity |
    prompt_feature::service_tier | prompt_feature::sampling_with_reasoning |
    prompt_feature::sampling_with_effort | prompt_feature::temperature_with_top_p |
    prompt_feature::effort_without_room | prompt_feature::unknown_parameter;

/// What `sampling_with_reasoning` is about.
inline constexpr prompt_features sampling_features =
    prompt_feature::temperature | prompt_feature::temperature_above_1 | prompt_feature::top_p |
    prompt_feature::penalties | prompt_feature::logprobs;

/// "tools", "image_url", …, in the order of the enumeration.
[[nodiscard]] std::string_view name_of(prompt_feature);
[[nodiscard]] std::vector<std::string_view> names_of(prompt_features);

}  // namespace spillway
