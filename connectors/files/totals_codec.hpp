// A lane's totals as their wire record, which every log's records share.
#pragma once

#include "schemas/totals.hpp"

namespace spillway::state {

namespace v1 {
class LaneTotals;
}  // namespace v1

void put(v1::LaneTotals& out, const named_totals& in);
[[nodiscard]] named_totals totals_of(const v1::LaneTotals& in);

}  // namespace spillway::state
