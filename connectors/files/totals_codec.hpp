// A lane's totals as every durable record of them holds them.
#pragma once

#include "schemas/totals.hpp"

namespace spillway::state {

namespace v1 {
class LaneTotals;
}

void put(v1::LaneTotals& out, const named_totals&);
[[nodiscard]] named_totals totals_of(const v1::LaneTotals&);

}  // namespace spillway::state
