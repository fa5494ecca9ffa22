// What AWS's own errors call for.
#include "workers/providers/error_words.hpp"

namespace spillway {

std::span<const error_rule> aws_error_rules() { return {}; }

}  // namespace spillway
