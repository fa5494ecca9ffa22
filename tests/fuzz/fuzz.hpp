// What fuzz targets share: cutting an input into choices and text, and checks that always hold.
#pragma once

#include "schemas/outcome.hpp"
#include "workers/provider.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace spillway::fuzz {

/// Ends the process loudly when a promise is broken: libFuzzer keeps the input.
void must(bool held, const char* promise);

/// One value of JSON without a line break, in valid UTF-8.
[[nodiscard]] bool is_json_line(std::string_view);
[[nodiscard]] bool is_json(std::string_view);
/// What every outcome of every adapter promises.
void check_outcome(const outcome&);

/// Takes bytes off the front of an input, zeros behind its end; the rest is text.
class input {
 public:
  input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}
  std::uint8_t byte();
  std::size_t below(std::size_t bound) { return byte() % bound; }
  /// Up to the next line feed, which is dropped.
  std::string line();
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

/// Every way this version has of asking for an answer.
struct way {
  std::string decoder;  ///< the target that feeds it answers
  pool_config pool;
  lane_config lane;
  std::unique_ptr<provider> adapter;
};
[[nodiscard]] const std::vector<way>& ways();

/// A response as the transport hands it over.
[[nodiscard]] call_result answered(int status, std::string_view body);

}  // namespace spillway::fuzz
