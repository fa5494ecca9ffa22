// Expected failures as values, and the check for bugs.
#pragma once

#include <boost/system/result.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace spillway {

/// What a failure means for the person who started the command; each kind has one exit code.
enum class failure_kind {
  usage,    ///< wrong flags, configuration or input choice: exit 2
  stopped,  ///< stopped before the end, can be resumed: exit 3
  storage,  ///< state, disk or file fault: exit 4
};

/// An expected failure: what happened and what to do about it, in one or two sentences.
struct failure {
  failure_kind kind = failure_kind::usage;
  std::string message;

  /// The same failure, told from further out: "context: message".
  [[nodiscard]] failure within(std::string_view context) const {
    return {kind, std::string(context) + ": " + message};
  }
};

[[nodiscard]] constexpr int exit_code(failure_kind kind) {
  switch (kind) {
    case failure_kind::usage: return 2;
    case failure_kind::stopped: return 3;
    case failure_kind::storage: return 4;
  }
  return 4;
}

[[noreturn]] void throw_exception_from_error(const failure& f, const boost::source_location& loc);

template <class T>
using result = boost::system::result<T, failure>;

/// Aborts with a message when a programming error is found; stays in release builds.
void ensure(bool condition, const char* what);

}  // namespace spillway
