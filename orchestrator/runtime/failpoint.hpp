// Named points at which a fault test may have the process killed. Without their environment
// variables they cost one look at a constant.
#pragma once

#include <string_view>

namespace spillway {

namespace failpoints {
/// True if SPILLWAY_FAILPOINT or SPILLWAY_POISON is set.
extern const bool armed;
void pass(std::string_view name);
void look(std::string_view request);
}  // namespace failpoints

/// SPILLWAY_FAILPOINT=<name>:<n>[@<file>] kills the process (SIGKILL) at the n-th pass of the
/// point; with a file only passes while that exists count.
inline void failpoint(std::string_view name) {
  if (failpoints::armed) failpoints::pass(name);
}

/// SPILLWAY_POISON=<text> kills the process before it sends a request that contains the text.
inline void poison(std::string_view request) {
  if (failpoints::armed) failpoints::look(request);
}

}  // namespace spillway
