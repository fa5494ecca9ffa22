#include "schemas/result.hpp"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace spillway {

void throw_exception_from_error(const failure& f, const boost::source_location&) {
  throw std::logic_error("result read without a check: " + f.message);
}

void ensure(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "spillway: internal error: %s\n", what);
  std::abort();
}

}  // namespace spillway
