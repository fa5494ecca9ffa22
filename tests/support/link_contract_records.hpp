// Records for tests of links.
#pragma once

#include "connectors/kafka/link.hpp"

#include <string>
#include <vector>

namespace spillway::kafka {

inline outgoing_record result_of(const std::string& key, std::string value) {
  return {topic::results, {key, std::move(value), false, {{"job", "j"}, {"kind", "answered"}}}};
}
inline outgoing_record journal_of(std::string value) {
  return {topic::journal, {"", std::move(value), false, {}}};
}
inline std::vector<std::string> keys_of(const std::vector<stored_record>& records) {
  std::vector<std::string> out;
  for (const auto& r : records) out.push_back(r.what.key);
  return out;
}

}  // namespace spillway::kafka
