// What a simulated model says: a function of the prompt alone, so that the same prompt gets the
// same text from every pool, and its cost.
#pragma once

#include "workers/simulator/call_reader.hpp"
#include "workers/simulator/sim_config.hpp"

#include <cstdint>
#include <string>

namespace spillway::simulated {

struct answer_size {
  std::int64_t input = 0, cached = 0;
  std::int64_t output_each = 0;  ///< tokens of one choice, reasoning included
  std::int64_t reasoning = 0;    ///< of those
  std::int64_t output = 0;       ///< of all choices
  bool cut = false;              ///< by the prompt's limit

  [[nodiscard]] std::int64_t text_each() const { return output_each - reasoning; }
};

/// Output lengths spread evenly over half to one and a half times `output_tokens`.
[[nodiscard]] answer_size size_answer(const call_facts&, const pool_spec&);
[[nodiscard]] nano_usd bill_of(const answer_size&, const price_config&);

/// Appends what one choice says: the JSON asked for, or else words.
void append_saying(const call_facts&, const answer_size&, std::int64_t choice, std::string& out);

/// Appends `tokens` words, safe inside a JSON string. A prompt with a marker gets it back first:
/// "[[re:X]] ".
void append_text(const call_facts&, std::int64_t tokens, std::int64_t choice, std::string& out);

/// Appends a vector of `dimensions` numbers in (-1, 1), by default a few: a JSON array, or base64
/// of little-endian floats in quotes.
void append_embedding(std::uint64_t input, std::int64_t dimensions, bool base64, std::string& out);

}  // namespace spillway::simulated
