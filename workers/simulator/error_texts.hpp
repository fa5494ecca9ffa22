// What each provider usually says with a status. Private to the reply files.
#pragma once

#include "workers/simulator/api_route.hpp"

#include <string_view>

namespace spillway::simulated {

struct usual_error {
  int status = 0;
  std::string_view type;  ///< of OpenAI's and Anthropic's forms
  std::string_view code;  ///< of OpenAI's and Azure's; AWS: the exception; Google: the status
  std::string_view message;
};

[[nodiscard]] usual_error usual_error_of(wire_form, int status);

}  // namespace spillway::simulated
