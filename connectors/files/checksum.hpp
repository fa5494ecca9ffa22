// The checksum that the state records.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <string_view>

namespace spillway {

/// CRC-32 of the bytes, carried on from `start`.
[[nodiscard]] inline std::uint32_t crc_of(std::string_view bytes, std::uint32_t start = 0) {
  return static_cast<std::uint32_t>(
      crc32_z(start, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace spillway
