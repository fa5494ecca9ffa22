// What Google's own errors call for.
#include "workers/providers/error_words.hpp"

namespace spillway {

std::span<const error_rule> google_error_rules() { return {}; }

}  // namespace spillway
