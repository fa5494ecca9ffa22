// Kafka records as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::kafka {

/// The fleet's topics, named `<fleet>.<name>`.
enum class topic { jobs, shards, results, journal, late, ctl, progress, dead };
[[nodiscard]] std::string_view name_of(topic);

struct record {
  std::string key;
  std::string value;
  bool tombstone = false;  ///< a null value: the key is deleted by compaction
  std::vector<std::pair<std::string, std::string>> headers;

  [[nodiscard]] std::optional<std::string_view> header(std::string_view name) const {
    for (const auto& [n, v] : headers)
      if (n == name) return v;
    return std::nullopt;
  }
};

struct stored_record {
  std::int64_t offset = 0;
  std::int64_t timestamp_ms = 0;
  record what;
};

}  // namespace spillway::kafka
