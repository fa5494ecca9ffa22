#pragma once

#include <string>

namespace spillway {

/// 16 hexadecimal digits that nothing else has: drawn from the machine's randomness.
[[nodiscard]] std::string fresh_id();

}  // namespace spillway
