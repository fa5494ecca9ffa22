// Pieces of records that several of them share.
#pragma once

#include "connectors/kafka/values.hpp"
#include "schemas/fleet_journal.pb.h"

#include <span>
#include <unordered_map>

namespace spillway::kafka::wire {

namespace pb = spillway::fleet::v1;

/// Strings that stand once in a record and are pointed to.
class name_table {
 public:
  std::uint32_t number_of(const std::string& name) {
    const auto [at, fresh] = numbers_.try_emplace(name, static_cast<std::uint32_t>(names_.size()));
    if (fresh) names_.push_back(name);
    return at->second;
  }
  [[nodiscard]] const std::vector<std::string>& names() const { return names_; }

 private:
  std::unordered_map<std::string, std::uint32_t> numbers_;
  std::vector<std::string> names_;
};

inline std::int64_t to_ms(time_point t) {
  return std::chrono::floor<std::chrono::milliseconds>(t).time_since_epoch().count();
}
/// Nothing for times that no clock of ours can show.
std::optional<time_point> from_ms(std::int64_t);

/// Of a record that can't be understood.
failure unreadable(std::string_view what);
failure too_new(std::string_view what, std::uint32_t version);

void put(pb::Place&, const place&);
bool get(const pb::Place&, place&);
void put(pb::Attempts&, std::span<const fleet_attempt>);
bool get(const pb::Attempts&, std::vector<fleet_attempt>&);
void put(pb::ResultFacts&, const result_facts&);
bool get(const pb::ResultFacts&, result_facts&);
void put(pb::Snapshot&, const snapshot&);
bool get(const pb::Snapshot&, snapshot&);

}  // namespace spillway::kafka::wire
