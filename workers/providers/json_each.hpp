// Loops over lists of objects, for .cpp files that read JSON.
#pragma once

#include "workers/providers/json_reader.hpp"

#include <optional>

namespace spillway {

/// Calls `visit` with every object in a list; what is no object is passed over, and so is no list.
template <class Visit>
void each_object(const std::optional<simdjson::dom::array>& list, Visit&& visit) {
  if (!list) return;
  for (const simdjson::dom::element item : *list) {
    simdjson::dom::object fields;
    if (!item.get_object().get(fields)) visit(fields);
  }
}

template <class Visit>
void each_object(const simdjson::dom::object& in, std::string_view key, Visit&& visit) {
  each_object(array_at(in, key), visit);
}

}  // namespace spillway
