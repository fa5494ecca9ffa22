// File descriptors: one is needed for each connection, and the default limit of most systems is
// low.
#pragma once

#include "schemas/result.hpp"

#include <cstdint>

namespace spillway {

/// Raises this process's limit on open files as far as it may and returns it. Fails, with the
/// remedy, when that is less than `needed`.
[[nodiscard]] result<std::int64_t> raise_fd_limit(std::int64_t needed);

}  // namespace spillway
