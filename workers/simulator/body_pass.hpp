// One pass over the outermost object of a request body, in the form its kind has. Private to the
// simulator's readers.
#pragma once

#include "workers/simulator/call_reader.hpp"
#include "workers/simulator/prompt_text.hpp"
#include "workers/simulator/wishes.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace spillway::simulated {

class body_pass {
 public:
  body_pass(call_facts& facts, wishes& wished, std::vector<embedded_text>& texts, bad_call& problem)
      : facts_(facts), wished_(wished), texts_(texts), problem_(problem) {}

  /// `path_model`: the model, where the path names it; the body need not then.
  [[nodiscard]] bool run(simdjson::ondemand::document&, std::string_view path_model);

 private:
  using json_value = simdjson::ondemand::value;

  bool fail(std::string param, std::string message);
  bool invalid(std::string_view key);
  bool unknown(std::string_view key);

  bool take(std::string_view key, json_value&);
  bool take_openai(std::string_view key, json_value&);
  bool take_limit(std::string_view key, json_value&);
  bool take_converse(std::string_view key, json_value&);
  bool take_titan(std::string_view key, json_value&);
  bool take_gemini(std::string_view key, json_value&);
  bool take_generation(json_value&);
  bool take_predict(std::string_view key, json_value&);
  bool take_messages(std::string_view key, json_value&);
  bool take_prompt(std::string_view key, json_value&);
  bool take_system(std::string_view key, json_value&);
  bool take_stream(json_value&);
  /// Keeps an object, a list or a text as it stands in the body.
  bool keep(json_value&, std::string_view& out);
  /// Reads fields of an object one by one.
  template <class Take>
  bool each(json_value&, Take);

  bool check();
  bool check_native();

  call_facts& facts_;
  wishes& wished_;
  std::vector<embedded_text>& texts_;
  bad_call& problem_;
  text_sum sum_, system_;
  bool has_text_ = false;
};

}  // namespace spillway::simulated
