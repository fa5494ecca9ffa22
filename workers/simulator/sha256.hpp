// SHA-256 and what is built on it, as the simulator checks signatures with: independent of the code
// that signs.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace spillway::simulated {

using digest = std::array<unsigned char, 32>;

[[nodiscard]] digest sha256(std::string_view);
[[nodiscard]] digest hmac_sha256(std::string_view key, std::string_view message);

[[nodiscard]] inline std::string_view bytes_of(const digest& d) {
  return {reinterpret_cast<const char*>(d.data()), d.size()};
}
void append_hex_digits(std::string_view bytes, std::string& out);  ///< lower case

}  // namespace spillway::simulated
