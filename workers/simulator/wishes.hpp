// What a prompt wants its answer to be, beyond text: a call of a tool, or JSON of a given form.
#pragma once

#include "workers/simulator/call_reader.hpp"

#include <string>
#include <string_view>

namespace spillway::simulated {

/// The parts of a body that tell, as JSON text in the form of the call's kind; empty = absent.
struct wishes {
  std::string_view tools;
  std::string_view tool_choice;  ///< as it stands in the body, quotes included
  std::string_view format;       ///< an object that names the form of the answer
  bool json = false;             ///< any JSON object will do
};

struct granted_wishes {
  std::string tool, arguments;  ///< a call of a tool
  std::string json_text;        ///< the answer as JSON
};

/// Nothing: `problem` says why the body is refused. A choice of `auto` calls no tool.
[[nodiscard]] bool grant_wishes(const call_facts&, const wishes&, granted_wishes&,
                                bad_call& problem);

/// JSON that a schema accepts: required properties, constants, first choices, smallest numbers.
/// The first free text holds the prompt's marker.
[[nodiscard]] std::string sample_of_schema(std::string_view schema, std::string_view marker);

}  // namespace spillway::simulated
