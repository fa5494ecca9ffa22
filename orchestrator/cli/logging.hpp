// Structured logs on standard error. The rest of the program logs through spdlog's default logger.
#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace spillway {

enum class log_format { text, json };

/// Replaces the default logger. `write` takes whole lines and may be called from any thread, one
/// call at a time. `level` is one of trace, debug, info, warn, error, off.
void setup_logging(const std::string& level, log_format,
                   std::function<void(std::string_view)> write);

/// Gives the default logger back to standard error, for when `write` goes away.
void reset_logging();

}  // namespace spillway
